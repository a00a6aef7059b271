#!/usr/bin/env bash
# cluster.sh: a REAL Slurm (munged, slurmctld, one slurmd per emulated node) on this one machine,
# for testing job scripts and MPI programs without a cluster.
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC1091,SC2009,SC2015,SC2046,SC2086 # word lists are meant to split
#
#   cluster.sh start  [DIR]          write the config, start the daemons, wait until every node is idle
#   cluster.sh stop   [DIR]          cancel every job, end the daemons and everything the nodes run
#   cluster.sh status [DIR]          one line per daemon, then sinfo and squeue; exit 0 only if all is well
#   cluster.sh env    [DIR]          print the exports a client needs:  eval "$(cluster.sh env DIR)"
#   cluster.sh crash  [DIR] NODE     power off NODE: kill -9 its slurmd, job steps and ranks at once
#   cluster.sh boot   [DIR] NODE     start NODE again and wait until Slurm can use it (takes 4 s)
#   cluster.sh exec   [DIR] NODE CMD...   run CMD on NODE (sees the node's host name, processes, /dev/shm)
#
# Everything (config, munge key, logs, pid files, Slurm's state, fake GPU devices) is under DIR, which begins with
# / or ./ (default: $EMU_SLURM_DIR, else /tmp/emu-slurm). To forget all jobs: stop, then rm -rf DIR.
#
# Settings, read from the environment by `start` only while nothing runs yet:
#   EMU_NODES=2  EMU_CPUS=64  EMU_GPUS=4  EMU_MEM_MB=512000   shape of the nodes (need not be real)
#   EMU_GPU_TYPE=  EMU_FEATURES=   e.g. h100 (for --gpus=h100:4) and "h100,nvlink" (for --constraint); default none
#   EMU_PORT=    first of 1+EMU_NODES TCP ports on loopback (default: the first free block from 16817)
#   EMU_NODE_TIMEOUT=30   seconds until a silent node is set DOWN (SlurmdTimeout)
#   EMU_REQUEUE_WAIT=10   seconds (5 or more) that a requeued job waits before it starts again; a step that takes
#                         longer than this to launch is refused, so not too few on a busy machine
#   EMU_WAIT=60           seconds that start and boot wait for the nodes
#
# Each node is a set of namespaces, so it has its own host name, process table, uptime and /dev/shm:
# MPI ranks on two nodes look to Open MPI as they do on two machines (shared memory inside a node, TCP
# between nodes), and ending the namespace's first process is a power failure. Nodes share the file
# system (so also /tmp) and the loopback network. Needs root. Debian 12 packages:
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge libpmix-dev
set -u
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
unset ${!SLURM_@} ${!SBATCH_@} ${!SALLOC_@} ${!SINFO_@} ${!SQUEUE_@} ${!SCANCEL_@}   # they change what the clients do and print

SELF=$(readlink -f "${BASH_SOURCE[0]}")
say() { printf 'cluster.sh: %s\n' "$*"; }
die() { printf 'cluster.sh: error: %s\n' "$*" >&2; exit 1; }
tail_log() { [ -s "$1" ] && { printf -- '--- last lines of %s\n' "$1"; tail -n 8 "$1"; } >&2; }

# ---- processes ------------------------------------------------------------------------------------
# A pid is ours only while its command line names our directory. (kill -0 is not enough: a daemon that
# ended can stay a zombie where PID 1 does not reap, and a pid can be used again.)
cmdline() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null; }
ours() { case "$1" in ''|*[!0-9]*) return 1;; esac; case "$(cmdline "$1") " in *"$DIR/"*|*" $DIR "*) return 0;; esac; return 1; }
pid_of() { local p; p=$(cat "$DIR/run/$1.pid" 2>/dev/null) || return 1; ours "$p" && echo "$p"; }
wait_gone() { local i; for ((i = 0; i < $2 * 10; i++)); do ours "$1" || return 0; sleep 0.1; done; return 1; }
end_pid() { # PID SECONDS: TERM, then KILL
	kill -TERM "$1" 2>/dev/null; wait_gone "$1" "$2" || { kill -KILL "$1" 2>/dev/null; wait_gone "$1" 5; }
}
node_init() { # host pid of the first process inside the node
	local u c; u=$(pid_of "$1") || return 1; read -r c _ <"/proc/$u/task/$u/children" 2>/dev/null; [ -n "$c" ] && echo "$c"
}

# ---- configuration --------------------------------------------------------------------------------
nodes() { local i; for ((i = 1; i <= EMU_NODES; i++)); do echo "node$i"; done; }
load() { [ -f "$DIR/conf/cluster.env" ] || return 1; . "$DIR/conf/cluster.env"; export SLURM_CONF=$DIR/conf/slurm.conf; }
port_used() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

write_conf() {
	local i g n p any=
	: "${EMU_NODES:=2}" "${EMU_CPUS:=64}" "${EMU_GPUS:=4}" "${EMU_MEM_MB:=512000}" "${EMU_NODE_TIMEOUT:=30}" "${EMU_REQUEUE_WAIT:=10}" "${EMU_GPU_TYPE:=}" "${EMU_FEATURES:=}"
	for i in "$EMU_NODES" "$EMU_CPUS" "$EMU_GPUS" "$EMU_MEM_MB" "$EMU_NODE_TIMEOUT" "$EMU_REQUEUE_WAIT"; do
		case "$i" in ''|*[!0-9]*) die "the EMU_ settings must be whole numbers, not '$i'";; esac; done
	[ "$EMU_REQUEUE_WAIT" -ge 5 ] || die "EMU_REQUEUE_WAIT must be 5 or more (with less, Slurm takes 120)"
	case "$EMU_GPU_TYPE$EMU_FEATURES" in *[!A-Za-z0-9_,.-]*) die "EMU_GPU_TYPE and EMU_FEATURES may hold only letters, digits and _ , . -";; esac
	[ "$EMU_NODES" -ge 1 ] && [ "$EMU_NODES" -le 250 ] || die "EMU_NODES must be 1 to 250"
	if [ -z "${EMU_PORT:-}" ]; then
		for ((EMU_PORT = 16817; EMU_PORT < 30000; EMU_PORT += EMU_NODES + 1)); do
			for ((p = EMU_PORT; p <= EMU_PORT + EMU_NODES; p++)); do port_used "$p" && continue 2; done; break; done
	fi
	for ((p = EMU_PORT; p <= EMU_PORT + EMU_NODES; p++)); do
		! port_used "$p" || die "TCP port $p on 127.0.0.1 is in use; set EMU_PORT to a free block of $((EMU_NODES + 1))"; done
	mkdir -p "$DIR"/{conf,run,log,state,spool,tmp,dev,key} || die "cannot make $DIR"
	chmod 700 "$DIR/key" "$DIR/state"
	[ -s "$DIR/key/munge.key" ] || (umask 077; head -c 1024 /dev/urandom >"$DIR/key/munge.key")
	printf '%s=%s\n' EMU_NODES "$EMU_NODES" EMU_CPUS "$EMU_CPUS" EMU_GPUS "$EMU_GPUS" EMU_MEM_MB "$EMU_MEM_MB" \
		EMU_GPU_TYPE "$EMU_GPU_TYPE" EMU_FEATURES "$EMU_FEATURES" EMU_PORT "$EMU_PORT" EMU_NODE_TIMEOUT "$EMU_NODE_TIMEOUT" \
		EMU_REQUEUE_WAIT "$EMU_REQUEUE_WAIT" >"$DIR/conf/cluster.env"

	# Listen on 127.0.0.1 only. For that each daemon and client looks up its own host name, so it works only where
	# that gives 127.0.0.1; elsewhere they listen on all addresses (what they send goes to 127.0.0.1 all the same).
	[ "$(getent ahostsv4 "$(hostname)" | awk 'NR == 1 {print $1}')" = 127.0.0.1 ] && any=CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
	n=node1; [ "$EMU_NODES" -gt 1 ] && n="node[1-$EMU_NODES]"
	{
		cat <<-EOF
		ClusterName=emu
		SlurmctldHost=$(hostname)(127.0.0.1)
		SlurmctldPort=$EMU_PORT
		SlurmUser=root
		SlurmdUser=root
		AuthType=auth/munge
		CredType=cred/munge
		# cred_expire is also how long a requeued job waits at least (Slurm's default: 120 s)
		AuthInfo=socket=$DIR/run/munge.socket,cred_expire=$EMU_REQUEUE_WAIT
		$any
		StateSaveLocation=$DIR/state
		SlurmdSpoolDir=$DIR/spool/%n
		# the PMIx plugin makes TmpFS/spmix_appdir_<uid>_<step>: must differ from node to node
		TmpFS=$DIR/tmp/%n
		SlurmctldPidFile=$DIR/run/slurmctld.pid
		SlurmdPidFile=$DIR/spool/%n/slurmd.pid
		SlurmctldLogFile=$DIR/log/slurmctld.log
		SlurmdLogFile=$DIR/log/slurmd.%n.log
		SlurmctldDebug=info
		SlurmdDebug=info
		# believe the CPUs= and RealMemory= below, whatever the machine has
		SlurmdParameters=config_overrides
		# no cgroups
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		TaskProlog=$DIR/conf/task-prolog
		JobAcctGatherType=jobacct_gather/none
		AccountingStorageType=accounting_storage/none
		JobCompType=jobcomp/filetxt
		JobCompLoc=$DIR/log/jobcomp.txt
		SwitchType=switch/none
		MpiDefault=pmix
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core_Memory
		DefMemPerCPU=$((EMU_MEM_MB / EMU_CPUS))
		GresTypes=gpu
		SchedulerType=sched/backfill
		SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
		PreemptType=preempt/partition_prio
		PreemptMode=REQUEUE
		# at preemption send the signal that the job asked for with --signal
		SlurmctldParameters=preempt_send_user_signal
		JobRequeue=1
		# refuse at once what no node could ever run
		EnforcePartLimits=ALL
		# a node that died comes back by itself, one set down by hand stays down until state=resume
		ReturnToService=1
		SlurmctldTimeout=30
		SlurmdTimeout=$EMU_NODE_TIMEOUT
		KillWait=5
		MinJobAge=86400
		EOF
		for ((i = 1; i <= EMU_NODES; i++)); do
			echo "NodeName=node$i NodeAddr=127.0.0.1 Port=$((EMU_PORT + i)) CPUs=$EMU_CPUS Sockets=1 CoresPerSocket=$EMU_CPUS ThreadsPerCore=1 RealMemory=$EMU_MEM_MB$([ "$EMU_GPUS" -gt 0 ] && echo " Gres=gpu:${EMU_GPU_TYPE:+$EMU_GPU_TYPE:}$EMU_GPUS")${EMU_FEATURES:+ Features=$EMU_FEATURES} State=UNKNOWN"
		done
		cat <<-EOF
		PartitionName=main Nodes=$n Default=YES PriorityTier=10 PreemptMode=OFF DefaultTime=10 MaxTime=INFINITE State=UP
		PartitionName=spot Nodes=$n PriorityTier=1 PreemptMode=REQUEUE GraceTime=20 DefaultTime=10 MaxTime=INFINITE State=UP
		EOF
	} >"$DIR/conf/slurm.conf"

	# jobs run as root here, which mpirun refuses without these
	printf '#!/bin/sh\necho export OMPI_ALLOW_RUN_AS_ROOT=1\necho export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n' >"$DIR/conf/task-prolog"
	chmod 755 "$DIR/conf/task-prolog"
	echo 'AutoDetect=off' >"$DIR/conf/gres.conf"
	printf '127.0.0.1 localhost %s\n' "$(hostname)" >"$DIR/conf/hosts"
	for ((i = 1; i <= EMU_NODES; i++)); do
		mkdir -p "$DIR/spool/node$i" "$DIR/tmp/node$i" "$DIR/dev/node$i"
		echo "127.0.0.1 node$i" >>"$DIR/conf/hosts"
		# slurmd wants a character device for each GPU: twins of /dev/null
		for ((g = 0; g < EMU_GPUS; g++)); do
			[ -c "$DIR/dev/node$i/nvidia$g" ] || mknod "$DIR/dev/node$i/nvidia$g" c 1 3 || die "mknod failed under $DIR/dev (EMU_GPUS=0 does without the devices)"; done
		[ "$EMU_GPUS" -gt 0 ] && echo "NodeName=node$i Name=gpu${EMU_GPU_TYPE:+ Type=$EMU_GPU_TYPE} File=$DIR/dev/node$i/nvidia[0-$((EMU_GPUS - 1))]" >>"$DIR/conf/gres.conf"
	done
	# what Open MPI must know on the nodes (there, with one more line, laid over /etc/openmpi/openmpi-mca-params.conf)
	{
		cat /etc/openmpi/openmpi-mca-params.conf 2>/dev/null
		printf '%s\n' '' '# cluster.sh: the only network is loopback, and ranks outnumber the real cores' \
			'btl_tcp_if_include = lo' 'oob_tcp_if_include = lo' 'mpi_yield_when_idle = 1' 'hwloc_base_binding_policy = none'
	} >"$DIR/conf/openmpi-mca-params.conf"
}

check_machine() {
	local c missing=
	[ "$(id -u)" = 0 ] || die "must run as root (namespaces, mknod)"
	for c in munged slurmctld slurmd sinfo scontrol srun; do command -v $c >/dev/null || missing="$missing $c"; done
	[ -z "$missing" ] || die "not installed:$missing. Do: apt-get update && apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge libpmix-dev"
	unshare --uts --ipc --mount --pid --fork true 2>/dev/null || die "this machine does not allow 'unshare --uts --ipc --mount --pid' (needed for the nodes)"
	getent ahostsv4 localhost >/dev/null || die "no interface but loopback has an IPv4 address, so Slurm's look-ups of names fail (AI_ADDRCONFIG). Give any interface one, for example: ip link add emu0 type veth peer name emu1 && ip addr add 192.0.2.1/32 dev emu0 && ip link set emu0 up"
	[ ${#DIR} -le 64 ] || die "DIR is too long for the Unix sockets under it (${#DIR} characters, 64 at most): $DIR"
	case "$DIR" in *[!A-Za-z0-9_./-]*) die "DIR may hold only letters, digits and _ . / - : $DIR";; esac
	[ -e /usr/lib/x86_64-linux-gnu/pmix2/lib/libpmix.so ] || [ "$(uname -m)" != x86_64 ] ||
		say "warning: no pmix2/lib/libpmix.so (package libpmix-dev), so srun --mpi=pmix will fail"
}

# ---- daemons --------------------------------------------------------------------------------------
start_munged() {
	pid_of munged >/dev/null && return
	rm -f "$DIR/run/munge.socket" "$DIR/run/munge.socket.lock"
	# --force: DIR may be closed to other users, which munged would refuse
	munged --force --num-threads=4 --key-file="$DIR/key/munge.key" --socket="$DIR/run/munge.socket" --pid-file="$DIR/run/munged.pid" \
		--log-file="$DIR/log/munged.log" --seed-file="$DIR/run/munged.seed" 9>&- 2>"$DIR/log/munged.err" ||
		{ cat "$DIR/log/munged.err" >&2; tail_log "$DIR/log/munged.log"; die "munged did not start"; }
	munge -S "$DIR/run/munge.socket" -n | unmunge -S "$DIR/run/munge.socket" >/dev/null || die "munge does not answer"
}
start_ctld() {
	local i
	pid_of slurmctld >/dev/null && return
	slurmctld -f "$SLURM_CONF" 9>&- 2>"$DIR/log/slurmctld.err" ||
		{ cat "$DIR/log/slurmctld.err" >&2; tail_log "$DIR/log/slurmctld.log"; die "slurmctld did not start"; }
	for ((i = 0; i < 150; i++)); do
		case "$(timeout 5 scontrol ping 2>/dev/null)" in *' is UP'*) return;; esac
		[ $i -lt 20 ] || pid_of slurmctld >/dev/null || break
		sleep 0.1; done
	tail_log "$DIR/log/slurmctld.log"; die "slurmctld does not answer"
}
start_node() {
	local up clock=
	pid_of "$1" >/dev/null && return
	# let the node's uptime count from now, so that Slurm sees a reboot where there is one
	up=$(cut -d. -f1 /proc/uptime); unshare --time --boottime "-$up" true 2>/dev/null && clock="--time --boottime -$up"
	setsid unshare --uts --ipc --mount $clock --pid --fork --mount-proc --kill-child "$SELF" __node "$DIR" "$1" \
		</dev/null >>"$DIR/log/$1.out" 2>&1 9>&- &
	echo $! >"$DIR/run/$1.pid"; disown
	date +%FT%T >"$DIR/run/$1.since"
}
run_node() { # first process of a node
	local n=$1 p
	mount --bind "$DIR/conf/hosts" /etc/hosts || exit 1
	[ -d /etc/slurm ] && mount --bind "$DIR/conf" /etc/slurm
	mount -t tmpfs -o mode=1777 shm /dev/shm || exit 1
	hostname "$n" || exit 1
	# what a power failure leaves there (stepd.slurm.pmix.<step>) would fail the first srun of the requeued job
	rm -rf "${DIR:?}/spool/$n" "${DIR:?}/tmp/$n"; mkdir -p "$DIR/spool/$n" "$DIR/tmp/$n"
	# session directories not in the shared /tmp, where node names and pids of two clusters or of a crashed run would meet
	{ cat "$DIR/conf/openmpi-mca-params.conf"; echo "orte_tmpdir_base = $DIR/tmp/$n"; } >"$DIR/spool/$n/openmpi-mca-params.conf"
	[ -f /etc/openmpi/openmpi-mca-params.conf ] && mount --bind "$DIR/spool/$n/openmpi-mca-params.conf" /etc/openmpi/openmpi-mca-params.conf
	trap 'kill -TERM $p' TERM
	slurmd -D -f "$SLURM_CONF" -N "$n" & p=$!
	while kill -0 $p 2>/dev/null; do wait $p; done   # bash also reaps whatever is left to PID 1
}
usable() { # NODE: its slurmd is the one we started last, it answers, and jobs may use it. Sets st.
	local o t
	o=$(timeout 5 scontrol -o show node "$1" 2>/dev/null) # both facts from one answer: a reboot sets the state down
	st=$(sed -n 's/.* State=\([^ ]*\).*/\1/p' <<<"$o"); t=$(sed -n 's/.* SlurmdStartTime=\([^ ]*\).*/\1/p' <<<"$o")
	case "$t" in 2*) ;; *) t=; esac
	[ -n "$t" ] && [ ! "$t" \< "$(cat "$DIR/run/$1.since" 2>/dev/null)" ] || { st="${st:-unknown} (its slurmd has not registered)"; return 1; }
	case "$st" in
	*DOWN*|*DRAIN*|*FAIL*) scontrol update nodename="$1" state=resume 2>/dev/null; return 1;;   # rebooted, or set so by hand
	*NOT_RESPONDING*|*'*'*|*UNKNOWN*) return 1;;
	IDLE*|MIXED*|ALLOCATED*) return 0;;
	*) return 1;;
	esac
}
wait_nodes() { # SECONDS NODE...
	local t0=$SECONDS secs=$1 n st; shift
	for n; do
		until usable "$n"; do
			pid_of "$n" >/dev/null || { tail_log "$DIR/log/$n.out"; tail_log "$DIR/log/slurmd.$n.log"; die "$n ended"; }
			[ $((SECONDS - t0)) -le "$secs" ] || { tail_log "$DIR/log/slurmd.$n.log"; sinfo -R >&2; die "$n is not ready after $secs s: $st"; }
			sleep 0.1
		done
	done
}
lock() { mkdir -p "$DIR" && exec 9>"$DIR/lock" && flock -w 120 9 || die "another cluster.sh is at work in $DIR"; }

# ---- commands -------------------------------------------------------------------------------------
any_up() { local n; for n in munged slurmctld $(nodes); do pid_of "$n" >/dev/null && return 0; done; return 1; }
do_start() {
	local n was t0=$EPOCHREALTIME
	check_machine; lock
	if (load && any_up); then   # while anything runs, the config stays as it is
		for n in ${!EMU_@}; do
			was=$(load; echo "${!n}")
			case "$n" in EMU_SLURM_DIR|EMU_WAIT) ;; *) [ "${!n}" = "$was" ] || die "this cluster runs with $n=$was, not ${!n}: stop it first";; esac; done
	else
		write_conf
	fi
	load
	start_munged; start_ctld
	for n in $(nodes); do start_node "$n"; done
	wait_nodes "${EMU_WAIT:-60}" $(nodes)
	say "$EMU_NODES nodes ready in $(awk "BEGIN{printf \"%.1f\", $EPOCHREALTIME-$t0}") s (slurmctld on 127.0.0.1:$EMU_PORT); clients need: eval \"\$($SELF env $DIR)\""
}
do_stop() {
	local n p u
	[ -d "$DIR" ] || { say "nothing in $DIR"; return; }
	lock; load || { say "no cluster in $DIR"; return; }
	if pid_of slurmctld >/dev/null; then timeout 10 scancel --full -u root 2>/dev/null; timeout 10 scancel -u root 2>/dev/null; fi
	for n in $(nodes); do p=$(node_init "$n") && kill -TERM "$p"; done
	for n in $(nodes); do
		u=$(pid_of "$n") || continue
		wait_gone "$u" 5 || { kill -KILL "$u"; wait_gone "$u" 5; } || say "warning: $n (pid $u) does not end"
	done
	p=$(pid_of slurmctld) && end_pid "$p" 10
	p=$(pid_of munged) && end_pid "$p" 5
	for n in munged slurmctld $(nodes); do rm -f "$DIR/run/$n.pid"; done
	say "stopped"
}
do_status() {
	local n p rc=0 st
	load || { say "no cluster in $DIR"; exit 3; }
	for n in munged slurmctld $(nodes); do
		if p=$(pid_of "$n"); then echo "$n up (pid $p)"; else echo "$n DOWN"; rc=1; fi; done
	[ $rc = 0 ] || pid_of slurmctld >/dev/null || exit 1
	timeout 10 sinfo -N -o '%N %P %T %c %m %G %E' | column -t || rc=1
	timeout 10 squeue || rc=1
	for st in $(timeout 10 sinfo -h -N -p main -o '%T'); do
		case "$st" in idle|mixed|allocated|completing|planned|reserved) ;; *) rc=1;; esac; done
	exit $rc
}
need_node() { load || die "no cluster in $DIR"; nodes | grep -qx -- "${1:-}" || die "no node '${1:-}' (nodes: $(nodes | paste -sd' '))"; }

cmd=${1:-}; shift || true
DIR=${EMU_SLURM_DIR:-/tmp/emu-slurm}
case "${1:-}" in /*|./*|../*|.) DIR=$1; shift;; esac
DIR=$(readlink -m "$DIR")
case "$cmd" in start|stop|status|env) [ $# = 0 ] || die "what is '$1'? (DIR must begin with / or ./)";; esac
case "$cmd" in
start) do_start;;
stop) do_stop;;
status) do_status;;
env) load || die "no cluster in $DIR; start it first"
	printf 'export SLURM_CONF=%s OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n' "$SLURM_CONF";;
crash) need_node "${1:-}"; p=$(pid_of "$1") || die "$1 is not up"; kill -KILL "$p"; wait_gone "$p" 10; say "$1 is off";;
boot) need_node "${1:-}"; lock
	pid_of "$1" >/dev/null || sleep 3   # Slurm knows a reboot by its boot time > the node's last answer, in whole seconds
	start_node "$1"; wait_nodes "${EMU_WAIT:-60}" "$1"; say "$1 is back";;
exec) need_node "${1:-}"; p=$(node_init "$1") || die "$1 is not up"; shift; exec nsenter --target "$p" --uts --ipc --mount --pid --wd="$PWD" -- "$@";;
__node) load || exit 1; run_node "$1";;
*) sed -n '2,/^set -u/p' "$SELF" | grep '^#' | sed 's/^# \{0,1\}//'; [ "$cmd" = help ] || exit 2;;
esac
