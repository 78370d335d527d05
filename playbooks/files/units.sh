# Enable units, and (re)start those that do not run or that run from something older than what is on disk: their unit,
# the distribution, their files. Nothing needs to be remembered for it, so a run that was cut short is made good by the
# next. Prints the units that it restarted.
# Arguments: UNIT=FILE,FILE,... in the order in which they start.
set -eu

stale=
for argument in "$@"; do
    unit=${argument%%=*}
    files=$(echo "${argument#*=}" | tr , ' ')
    systemctl is-enabled --quiet "$unit" 2> /dev/null || systemctl enable --quiet "$unit"
    if [ "$(systemctl show -P NeedDaemonReload "$unit")" = yes ]; then systemctl daemon-reload; fi
    if systemctl is-active --quiet "$unit"; then
        since=$(systemctl show --timestamp=unix -P InactiveExitTimestamp "$unit")
        newest=$(stat -c %Y "/etc/systemd/system/$unit.service" /opt/picluster/venv $files | sort -n | tail -n 1)
        [ "$newest" -gt "${since#@}" ] || continue
    fi
    stale="$stale $unit"
done

for unit in $stale; do
    systemctl reset-failed "$unit" 2> /dev/null || true
    if ! systemctl restart "$unit"; then
        said=$(journalctl "_SYSTEMD_UNIT=$unit.service" -n 1 -o cat --no-pager)
        echo "$unit does not start (${said:-it said nothing}); look at: journalctl -u $unit" >&2
        exit 1
    fi
    echo "$unit"
done
