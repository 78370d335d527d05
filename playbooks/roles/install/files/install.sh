# Make /opt/picluster/venvs/DIGEST from /opt/picluster/bundle.tar, then point /opt/picluster/venv at it.
# The link moves last and in one step: a power cut leaves the old environment or the new one, never half of one.
set -eu
umask 022
digest=$1
root=/opt/picluster
new=$root/venvs/$digest
wheels=$root/wheels

rm -rf "$new" "$wheels"
mkdir -p "$root/venvs" "$wheels"
tar -xf "$root/bundle.tar" -C "$wheels"

# System packages stay visible: python3-nftables exists as a Debian package only. Wheels come before them.
/usr/bin/python3 -m venv --without-pip --system-site-packages "$new"
mkdir "$wheels/pip"
mv "$wheels"/pip-*.whl "$wheels/pip/"
PYTHONPATH=$(echo "$wheels"/pip/pip-*.whl) "$new/bin/python" -m pip --isolated --quiet --disable-pip-version-check \
    install --no-index --no-cache-dir --ignore-installed --no-warn-script-location "$wheels"/*.whl
"$new/bin/python" -c 'import picluster, picluster_agent'
sync -f "$new"

ln -sfn "venvs/$digest" "$root/venv.new"
old=$(readlink "$root/venv" || true)
mv -T "$root/venv.new" "$root/venv"
sync -f "$root"

# What runs keeps the environment that it was started from until it is restarted; older ones go.
rm -rf "$wheels" "$root/bundle.tar"
for other in "$root/venvs"/*; do
    case "venvs/${other##*/}" in "venvs/$digest" | "$old") ;; *) rm -rf "$other" ;; esac
done
