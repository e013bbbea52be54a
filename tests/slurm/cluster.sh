#!/usr/bin/env bash
# A private Slurm on this machine, for tests: cluster.sh start|stop|restart-controller FOLDER
#
# Every daemon runs as the calling user, listens on the loopback only, and keeps its files in FOLDER. Nodes are several
# slurmd processes that claim processors and devices which need not exist.
#
# From the environment: NODES (3), CPUS of a node (8), GPUS of a node (0), ACCOUNTS=1 for sacct, PORT (16900).
# Needs: slurmctld slurmd slurm-client munge; with ACCOUNTS also slurmdbd mariadb-server-core mariadb-client-core.
set -euo pipefail
action=${1:?start, stop or restart-controller}
folder=${2:?a folder}
nodes=${NODES:-3} cpus=${CPUS:-8} gpus=${GPUS:-0} accounts=${ACCOUNTS:-0} port=${PORT:-16900}
PATH=$PATH:/usr/sbin:/sbin
export SLURM_CONF=$folder/slurm.conf
user=$(id -un)

settings() {
    local host accounting=accounting_storage/none number
    host=$(hostname -s)
    [ "$accounts" = 0 ] || accounting=accounting_storage/slurmdbd
    cat <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/pids/slurmctld
SlurmdPidFile=$folder/pids/slurmd-%n
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd-%n
# No control groups, no tracking by PMIx: this has to work in any container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,bf_interval=1
ReturnToService=2
MinJobAge=${MIN_JOB_AGE:-300}
KillWait=3
SlurmdTimeout=20
AccountingStorageType=$accounting
END
    [ "$accounts" = 0 ] || cat <<END
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((port - 1))
AccountingStoragePass=$folder/munge/socket
END
    [ "$gpus" = 0 ] || echo GresTypes=gpu
    for number in $(seq "$nodes"); do
        printf 'NodeName=n%s NodeHostname=%s NodeAddr=127.0.0.1 Port=%s CPUs=%s RealMemory=64000%s State=UNKNOWN\n' \
            "$number" "$host" $((port + number)) "$cpus" "$([ "$gpus" = 0 ] || echo " Gres=gpu:$gpus")"
    done
    echo 'PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP'
}

database() {
    local at=$folder/database
    mkdir -p "$at"
    [ -d "$at/data/mysql" ] || mariadb-install-db --no-defaults --datadir="$at/data" \
        --auth-root-authentication-method=normal --skip-test-db >"$folder/log/database" 2>&1
    mariadbd --no-defaults --user="$user" --datadir="$at/data" --socket="$at/socket" --skip-networking \
        --pid-file="$folder/pids/mariadbd" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
        >>"$folder/log/database" 2>&1 </dev/null &
    local sql="create database if not exists slurm_acct_db; create user if not exists slurm@localhost identified by
        'slurm'; grant all on slurm_acct_db.* to slurm@localhost"
    until mariadb --no-defaults --socket="$at/socket" --user=root --execute="$sql" 2>/dev/null; do sleep 0.2; done
    cat >"$folder/slurmdbd.conf" <<END
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((port - 1))
SlurmUser=$user
LogFile=$folder/log/slurmdbd
PidFile=$folder/pids/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
END
    chmod 600 "$folder/slurmdbd.conf"
    MYSQL_UNIX_PORT=$at/socket slurmdbd
    # The cluster has to be known before its controller comes.
    until sacctmgr --immediate --quiet add cluster test >/dev/null 2>&1 ||
        sacctmgr --noheader show cluster test 2>/dev/null | grep -q test; do sleep 0.2; done
}

start() {
    mkdir -p "$folder"/{state,spool,log,pids} "$folder/munge"
    chmod 755 "$folder" "$folder/munge"
    if [ ! -s "$folder/munge.key" ]; then
        (umask 077 && head -c 256 /dev/urandom >"$folder/munge.key")
    fi
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge/socket" --pid-file="$folder/pids/munged" \
        --log-file="$folder/log/munged" --seed-file="$folder/munge.seed"
    settings >"$SLURM_CONF"
    # A device file has to exist, and nothing else of a device.
    [ "$gpus" = 0 ] || echo "Name=gpu File=/dev/tty[0-$((gpus - 1))]" >"$folder/gres.conf"
    [ "$accounts" = 0 ] || database
    slurmctld
    for number in $(seq "$nodes"); do
        mkdir -p "$folder/spool/n$number"
        slurmd -N "n$number"
    done
    for _ in $(seq 300); do
        [ "$(sinfo --noheader --Node --states=idle --format=%N 2>/dev/null | wc -l)" = "$nodes" ] && return
        sleep 0.1
    done
    echo "cluster.sh: the nodes did not come up; see $folder/log" >&2
    return 1
}

running() {
    local state
    state=$(ps -o stat= -p "$1" 2>/dev/null) && [ "${state#Z}" = "$state" ]
}

# Ends the processes whose ids stand in these files.
end() {
    local file pid
    for file in "$@"; do
        [ -s "$file" ] || continue
        pid=$(cat "$file")
        kill "$pid" 2>/dev/null || true
        for try in $(seq 100); do
            running "$pid" || break
            [ "$try" != 60 ] || kill -9 "$pid" 2>/dev/null || true
            sleep 0.1
        done
        rm -f "$file"
    done
}

case $action in
start) start ;;
stop) end "$folder"/pids/slurmd-* "$folder"/pids/slurmctld "$folder"/pids/slurmdbd "$folder"/pids/mariadbd \
    "$folder"/pids/munged ;;
restart-controller)
    end "$folder/pids/slurmctld"
    slurmctld
    until scontrol ping 2>/dev/null | grep -q 'is UP'; do sleep 0.1; done
    ;;
*) echo "cluster.sh: start, stop or restart-controller, not $action" >&2; exit 2 ;;
esac
