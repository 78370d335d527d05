# Stop and forget the registry's units named in the argument. The images stay where they are.
set -eu
for unit in $1; do
    systemctl disable --quiet --now "$unit" 2> /dev/null || true
    rm -f "/etc/systemd/system/$unit"
done
systemctl daemon-reload
