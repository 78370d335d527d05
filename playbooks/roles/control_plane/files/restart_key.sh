# Make the key by which the control plane restarts an agent over SSH, unless it is there; print the public half.
set -eu
umask 077
install -d -m 0755 /etc/picluster/ssh
cd /etc/picluster/ssh
if [ ! -s restart ] || [ ! -s restart.pub ]; then
    rm -f restart restart.pub
    ssh-keygen -q -t ed25519 -N '' -C picluster-restart -f restart
    sync restart restart.pub
fi
cat restart.pub
