#!/usr/bin/env bash
# A throwaway SLURM with two nodes and fake GPUs on one Debian host: no systemd, no cgroups, no real GPU.
#
#   slurm_cluster.sh up       install what is missing, start what is not running
#   slurm_cluster.sh down     cancel all jobs, stop everything that was started, remove the state folder
#   slurm_cluster.sh status   the nodes and their GPUs; exit status 1 when the cluster is down
#
# Everything, munge's key and socket included, lies in the state folder. Outside it there is one link while the cluster
# is up: /etc/slurm/slurm.conf. SLURM_CONF would do for sbatch, but Snakemake's job steps drop every SLURM_* variable
# before they call srun. The only lasting change to the host is the Debian packages.
# Exit status 3: this host cannot run it; the last line on stderr says what is missing.
#
# Settings (environment): VLMAKE_SLURM_STATE (/var/lib/vlmake-slurm), VLMAKE_SLURM_PORT (26817)
set -euo pipefail

STATE=${VLMAKE_SLURM_STATE:-/var/lib/vlmake-slurm}
PORT=${VLMAKE_SLURM_PORT:-26817} # of the controller; the nodes take the next ones
NODES=2
GPUS=4       # a node
CPUS=8       # a node, advertised: more than the host has is fine
MEMORY=64000 # MB a node, advertised likewise

PACKAGES=(munge slurmctld slurmd slurm-client)
HOST=$(uname -n)
HOST=${HOST%%.*}
LINK=/etc/slurm/slurm.conf
export SLURM_CONF=$STATE/slurm.conf
export PATH=$PATH:/usr/sbin:/sbin

cannot() {
    echo "slurm_cluster: $*" >&2
    exit 3
}

wait_for() { # wait_for SECONDS COMMAND...: poll until the command succeeds
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            echo "slurm_cluster: gave up waiting for: $*" >&2
            tail -n 3 "$STATE"/log/*.log >&2 || true
            return 1
        fi
        sleep 0.2
    done
}

check_host() {
    [[ $(id -u) -eq 0 ]] || cannot "only root can start the daemons and make device nodes"
    command -v apt-get >/dev/null || cannot "no apt-get: only Debian and its kin are supported"
    [[ ! -e $LINK || $LINK -ef $SLURM_CONF ]] || cannot "$LINK exists: this host has a SLURM of its own"
}

install_packages() {
    local missing=() package
    for package in "${PACKAGES[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if [[ ! -e /usr/sbin/policy-rc.d ]]; then # the packages' own services must not start
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    {
        apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    } >&2 || cannot "Debian packages are missing and apt-get could not install them: ${missing[*]}"
}

# A GPU is handed to a job as CUDA_VISIBLE_DEVICES only if gres.conf names character devices and sets nvidia_gpu_env;
# null devices do.
make_devices() {
    local gpu
    for ((gpu = 0; gpu < GPUS; gpu++)); do
        [[ -c $STATE/gpu$gpu ]] || mknod -m 666 "$STATE/gpu$gpu" c 1 3 || cannot "no permission to make device nodes"
    done
    : <"$STATE/gpu0" || cannot "device nodes under $STATE cannot be opened; put VLMAKE_SLURM_STATE elsewhere"
}

write_configuration() {
    local node
    cat <<CONF >"$SLURM_CONF"
ClusterName=vlmake
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$STATE/munge/socket
StateSaveLocation=$STATE/controller
SlurmdSpoolDir=$STATE/spool.%n
SlurmctldPidFile=$STATE/run/slurmctld.pid
SlurmdPidFile=$STATE/run/%n.pid
SlurmctldLogFile=$STATE/log/slurmctld.log
SlurmdLogFile=$STATE/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
# without cgroups memory is enforced by polling
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# nodes may advertise more than the host has
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=5
MinJobAge=300
CONF
    for ((node = 1; node <= NODES; node++)); do
        echo "NodeName=node$node NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((PORT + node)) CPUs=$CPUS" \
            "RealMemory=$MEMORY Gres=gpu:$GPUS State=UNKNOWN"
    done >>"$SLURM_CONF"
    echo "PartitionName=gpu Nodes=node[1-$NODES] Default=YES MaxTime=INFINITE State=UP" >>"$SLURM_CONF"
    echo "Name=gpu File=$STATE/gpu[0-$((GPUS - 1))] Flags=nvidia_gpu_env" >"$STATE/gres.conf"
    echo "CgroupAutomount=no" >"$STATE/cgroup.conf"
    mkdir -p "${LINK%/*}"
    ln -sfn "$SLURM_CONF" "$LINK"
}

# The process named by a pid file, if it is still ours: a recycled pid has another command line.
pid_of() {
    local pid
    [[ -s $STATE/run/$1.pid ]] || return 1
    pid=$(<"$STATE/run/$1.pid")
    grep -qzF "$STATE" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}

is_gone() { ! pid_of "$1" >/dev/null; }

start() { # start NAME COMMAND...: unless it runs already
    is_gone "$1" || return 0
    "${@:2}" >&2
}

all_nodes_up() { [[ $(sinfo -h -N -o %T | grep -c -x -E 'idle|mixed|allocated') -eq $NODES ]]; }
no_jobs() { [[ -z $(squeue -h) ]]; }

up() {
    check_host
    install_packages
    mkdir -p "$STATE"/{controller,log,munge,run}
    chmod 755 "$STATE" "$STATE"/munge "$STATE"/run
    chmod 700 "$STATE"/log # munge insists
    make_devices
    [[ -s $STATE/munge.key ]] || (umask 077 && head -c 1024 /dev/urandom >"$STATE/munge.key")
    is_gone slurmctld && write_configuration
    start munged munged --key-file="$STATE/munge.key" --socket="$STATE/munge/socket" \
        --pid-file="$STATE/run/munged.pid" --seed-file="$STATE/run/munged.seed" --log-file="$STATE/log/munged.log"
    wait_for 20 munge -n --socket="$STATE/munge/socket"
    start slurmctld slurmctld -f "$SLURM_CONF"
    wait_for 30 scontrol ping
    local node
    for ((node = 1; node <= NODES; node++)); do
        mkdir -p "$STATE/spool.node$node"
        start "node$node" slurmd -f "$SLURM_CONF" -N "node$node"
    done
    wait_for 60 all_nodes_up
}

down() {
    local name pid
    if ! is_gone slurmctld; then
        scancel --state=PENDING,RUNNING,SUSPENDED --user root 2>/dev/null || true
        wait_for 20 no_jobs || true
    fi
    for name in $(seq -f 'node%g' $NODES) slurmctld munged; do
        if pid=$(pid_of "$name"); then
            kill "$pid" || true
            wait_for 20 is_gone "$name" || kill -9 "$pid"
        fi
    done
    if [[ $(readlink "$LINK") == "$SLURM_CONF" ]]; then
        rm "$LINK"
    fi
    rm -rf "$STATE"
}

status() {
    if is_gone slurmctld; then
        echo "down" && exit 1
    fi
    sinfo -N -o '%N %T %G'
}

case ${1:-} in
up | down | status) "$1" ;;
*)
    echo "usage: slurm_cluster.sh up | down | status" >&2
    exit 2
    ;;
esac
