"""Stand-in boards on one machine: a Debian root filesystem each, real systemd, and a plug that can be pulled."""
