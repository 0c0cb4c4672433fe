"""A real Slurm whose machines are all this one: the daemons of Debian's packages slurm-wlm and munge, started by hand.

No control groups are used, so it needs no privileges and runs in a container.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

DAEMONS = "munged", "slurmctld", "slurmd"
SECONDS = 60  # in which daemons must be there, and jobs gone
# A machine that does not answer is down after 10 s, not 5 minutes; its job begins again 5 s later, not 2 minutes.
CONFIGURATION = """\
ClusterName=studio
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmdTimeout=10
KillWait=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
"""
MACHINE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=1000\n"
PARTITION = "PartitionName=main Nodes=ALL Default=YES\n"
PLACES = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])  # of daemons


def missing() -> list[str]:
    """The daemons that are not installed here."""
    return [name for name in DAEMONS if not shutil.which(name, path=PLACES)]


@dataclass(frozen=True)
class SlurmMachines:
    """Machines of one core each.

    Attributes:
        environment: what Slurm's commands need to reach them.
        daemons: of the machines, by their names.
    """

    environment: Mapping[str, str]
    daemons: Mapping[str, subprocess.Popen[bytes]]

    def said(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    def lose(self, name: str) -> None:
        """Kill a machine's daemon and jobs, as if its power went off."""
        jobs = [process for process in _processes() if f"SLURMD_NODENAME={name}\0" in _read(process, "environ")]
        steps = [parent for parent in map(_parent, jobs) if _read(parent, "comm").startswith("slurmstepd")]
        for process in {self.daemons[name].pid, *steps, *jobs}:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@contextmanager
def slurm_machines(*names: str) -> Iterator[SlurmMachines]:
    """Start Slurm with machines of these names; in the end its jobs and daemons are gone."""
    with ExitStack() as stack:
        # Not in pytest's folder, for the path of a socket must be short.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        environment = {"SLURM_CONF": str(_configured(folder, names))}

        def start(*command: str) -> subprocess.Popen[bytes]:
            return stack.enter_context(_daemon(command, folder, environment))

        start(*_munged(folder))
        _until((folder / "munge.socket").exists)
        start("slurmctld", "-D")
        machines = SlurmMachines(environment, {name: start("slurmd", "-D", "-N", name) for name in names})
        _until(lambda: machines.said("sinfo", "-N", "-h", "-o", "%T").split() == ["idle"] * len(names))
        try:
            yield machines
        finally:
            machines.said("scancel", "--user", getpass.getuser())
            _until(lambda: not machines.said("squeue", "-h"))


def _configured(folder: Path, names: Sequence[str]) -> Path:
    """The configuration, with the folders that it names."""
    for name in ("state", *names):
        (folder / name).mkdir()
    host, (port, *ports) = socket.gethostname().partition(".")[0], _free_ports(1 + len(names))
    about = CONFIGURATION.format(host=host, port=port, user=getpass.getuser(), folder=folder)
    machines = [MACHINE.format(name=name, host=host, port=port) for name, port in zip(names, ports, strict=True)]
    file = folder / "slurm.conf"
    file.write_text("".join([about, *machines, PARTITION]))
    return file


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        return [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]


def _munged(folder: Path) -> list[str]:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    options = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed")]
    return ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *options]


@contextmanager
def _daemon(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    variables = {**os.environ, **environment, "PATH": PLACES}
    with (folder / "daemons.out").open("ab") as out:
        process = subprocess.Popen(command, env=variables, stdout=out, stderr=out, cwd=folder)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "Slurm does not get that far"
        time.sleep(0.2)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _read(process: int, name: str) -> str:
    """A file of a process's in /proc; "" where it has ended, or is another's."""
    try:
        return Path(f"/proc/{process}/{name}").read_text(errors="replace")
    except OSError:
        return ""


def _parent(process: int) -> int:
    lines = _read(process, "status").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("PPid:")), 0)
