# Take back what picluster's playbooks, agent and control plane did to this board. Every step is safe where there is
# nothing to take back, also after a run that was cut short. Prints what it took back.
set -u
etc=/etc/picluster lib=/var/lib/picluster kept=/var/lib/picluster/provision

did() { echo "$*"; }
remove() {
    for path in "$@"; do
        if [ -e "$path" ] || [ -L "$path" ]; then rm -rf "$path" && did "removed $path"; fi
    done
}

# Units, the agent first: nothing may start a pod again.
for unit in picluster-agent picluster-registry picluster-registry-cache picluster-controllers picluster-scheduler \
    picluster-apiserver; do
    if [ -e "/etc/systemd/system/$unit.service" ]; then
        systemctl disable --quiet --now "$unit" 2> /dev/null
        remove "/etc/systemd/system/$unit.service"
        units_gone=yes
    fi
done
if [ -e /etc/systemd/system/picluster-registry-clean.timer ]; then
    systemctl disable --quiet --now picluster-registry-clean.timer 2> /dev/null
    remove /etc/systemd/system/picluster-registry-clean.timer /etc/systemd/system/picluster-registry-clean.service
    units_gone=yes
fi
if [ -n "${units_gone-}" ]; then systemctl daemon-reload; fi

# Pods.
if command -v podman > /dev/null; then
    containers=$(for label in io.kubernetes.pod.uid picluster.io/image-volume-of; do
        podman ps --all --quiet --filter label=$label 2> /dev/null
    done)
    if [ -n "$containers" ]; then
        podman rm --force --time 2 --volumes $containers > /dev/null && did "removed $(echo "$containers" | wc -l) containers"
    fi
fi

# Their control groups, of either version.
for top in /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods; do
    if [ -d "$top" ]; then
        find "$top" -depth -type d -exec rmdir {} \; 2> /dev/null
        [ -d "$top" ] || did "removed the control groups $top"
    fi
done

# What they had mounted, innermost first: volumes, and namespaces kept by a bind mount. Private first, or what is mounted
# below a shared one would go where it came from, too. While something stays mounted, nothing may be removed below it.
mounted() { awk '$5 ~ "^(/var/lib/picluster|/run/picluster)/" { print $5 }' /proc/self/mountinfo | sort -r; }
mounted | while read -r path; do
    mount --make-rprivate "$path"
    umount -l "$path" && did "unmounted $path"
done
if [ -n "$(mounted)" ]; then
    echo "cannot unmount $(mounted | head -1): nothing more is removed" >&2
    exit 1
fi
if [ "$(readlink /var/lib/kubelet)" = $lib ]; then remove /var/lib/kubelet; fi

# Their network.
if command -v nft > /dev/null && nft list table ip picluster > /dev/null 2>&1; then
    nft delete table ip picluster && did "deleted the nftables table"
fi
if ip link show cni0 > /dev/null 2>&1; then ip link delete cni0 && did "deleted the bridge cni0"; fi
if [ -n "$(ip -4 route show table all proto 142)" ]; then
    ip -4 route flush table all proto 142 && did "deleted the routes to pods"
fi
remove /etc/cni/net.d/10-picluster.conflist
podman_network=/etc/cni/net.d/87-podman-bridge.conflist
if [ -e $podman_network.off ]; then mv $podman_network.off $podman_network && did "put Podman's network back"; fi
rmdir /opt/cni/bin /opt/cni 2> /dev/null

# Podman's settings; a storage.conf of somebody else's stays.
remove /etc/containers/containers.conf.d/50-picluster.conf /etc/containers/registries.conf.d/50-picluster.conf
for place in /etc/containers/certs.d/*; do  # those that trust the rack's authority
    if [ "$(readlink "$place/ca.crt")" = $etc/pki/ca.crt ]; then remove "$place"; fi
done
if grep -qs '# picluster registry$' /etc/hosts; then
    sed -i '/# picluster registry$/d' /etc/hosts && did "forgot the registry's name"
fi
if grep -qsx '# picluster' /etc/containers/storage.conf; then remove /etc/containers/storage.conf; fi

# The key of the control plane.
keys=/root/.ssh/authorized_keys
if grep -qs ' picluster-restart$' $keys; then
    sed -i '/ picluster-restart$/d' $keys && did "forgot the control plane's key"
fi

# Settings of the system: swap, name, modules, kernel, watchdog, command line.
if [ -e $kept/swap ]; then
    sed -i 's/^#picluster# //' /etc/fstab
    if systemctl cat dphys-swapfile.service > /dev/null 2>&1; then systemctl enable --quiet --now dphys-swapfile.service; fi
    swapon --all
    did "switched swap on"
fi
if [ -e $kept/hostname ]; then
    name=$(cat $kept/hostname)
    hostnamectl set-hostname "$name"
    sed -i "s/^127\\.0\\.1\\.1[[:space:]].*/127.0.1.1\t$name/" /etc/hosts
    did "named the board $name"
fi
if [ -e $kept/cmdline ]; then
    sed -i 's/ cgroup_enable=memory cgroup_memory=1//' "$(cat $kept/cmdline)" && did "took the memory cgroup off the command line"
fi
if [ -e /etc/systemd/logind.conf.d/99-picluster-agent.conf ]; then
    remove /etc/systemd/logind.conf.d/99-picluster-agent.conf
    systemctl kill --signal=HUP systemd-logind.service 2> /dev/null || true
fi
if [ -e /etc/systemd/system.conf.d/60-picluster.conf ]; then
    remove /etc/systemd/system.conf.d/60-picluster.conf
    systemctl daemon-reexec
fi
remove /etc/modules-load.d/picluster.conf /etc/sysctl.d/60-picluster.conf
if [ -e /etc/systemd/timesyncd.conf.d/60-picluster.conf ]; then
    remove /etc/systemd/timesyncd.conf.d/60-picluster.conf
    systemctl try-restart systemd-timesyncd
fi

remove /run/picluster $etc /opt/picluster $lib
