"""What a process does to itself before it runs a student's code, so that it cannot be undone.

Linux only, and with nothing but libc: namespaces of its own (`walled_fork`), then no capabilities,
no new privileges, and a filter on system calls (`give_up`). Copied into the stage; no answer is here.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID = 0x20000, 0x8000000, 0x10000000, 0x20000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_NO_NEW_PRIVS, _SECCOMP, _SUBREAPER = 38, 22, 36


def _call(name: str, *arguments) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


# ----------------------------------------------------------------------------------- namespaces


def adopt_orphans() -> None:
    """Become the parent of what `walled_fork` leaves behind."""
    _call("prctl", _SUBREAPER, 1, 0, 0, 0)


def walled_fork(scratch: str, disk: int) -> int:
    """Fork into namespaces of its own; returns the child's process id, in the child 0.

    The child is process 1 of its own process namespace: it cannot see, signal or trace its parent
    or any earlier child, and everything that it starts ends with it. The folder `scratch` is new and holds `disk`
    bytes; /proc is empty. Raises OSError where the system does not allow this.
    """
    uid, gid = os.getuid(), os.getgid()
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        # Who unshares stays outside the new process namespace; its next child is the first inside.
        try:
            _call("unshare", _NEWUSER | _NEWPID | _NEWNS | _NEWIPC)
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{uid} {uid} 1")
            _write("/proc/self/gid_map", f"{gid} {gid} 1")
            child = os.fork()
        except OSError:
            os._exit(1)
        if child:
            os.write(writer, str(child).encode())
            os._exit(0)
        os.close(reader)
        os.close(writer)
        _own_folders(scratch, disk)
        return 0
    os.close(writer)
    said = os.read(reader, 20)
    os.close(reader)
    os.waitpid(between, 0)
    if not said:
        raise OSError("no namespaces within the sandbox")
    return int(said)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def _own_folders(scratch: str, disk: int) -> None:
    closed = f"size={disk},nr_inodes=4096,mode=0700".encode()
    _call("mount", b"tmpfs", scratch.encode(), b"tmpfs", _NOSUID | _NODEV | _NOEXEC, closed)
    # A new /proc would show the kernel's switches, and the old one shows the parent: so none.
    flags = _RDONLY | _NOSUID | _NODEV | _NOEXEC
    _call("mount", b"tmpfs", b"/proc", b"tmpfs", flags, b"size=4k,nr_inodes=2,mode=0555")
    os.chdir(scratch)


# ------------------------------------------------------------------------------- giving up rights


def give_up() -> None:
    """Drop all capabilities and the right to gain any, and let the kernel refuse `_DENIED`."""
    if _LIBC is None:
        return
    header = struct.pack("Ii", 0x20080522, 0)
    _call("capset", header, bytes(24))
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return  # The limits on resources and the namespaces hold all the same.
    program = _filter(*machine)
    code = ctypes.create_string_buffer(program)
    # struct sock_fprog: the number of instructions, and where they are.
    prog = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    _call("prctl", _SECCOMP, 2, prog, 0, 0)


# No process but this one: fork bombs and daemons end here. No network. No memory that is not counted.
# No reading of other processes. No way to new namespaces, or around this filter.
_DENIED = (
    "fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp",
    "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "process_madvise", "process_mrelease",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo", "socket", "socketpair", "memfd_create", "memfd_secret", "shmget",
    "msgget", "semget", "mq_open", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "fsopen",
    "fspick", "open_tree", "move_mount", "mount_setattr", "name_to_handle_at", "open_by_handle_at", "bpf",
    "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "io_uring_setup",
)  # fmt: skip
_TO_OTHERS = ("kill", "tkill", "tgkill")  # allowed towards oneself

# Numbers of system calls: those of x86_64, and those of every newer machine, in the order above.
_X86_64 = (
    57, 58, 59, 322, 101, 310, 311, 312, 434, 438, 424, 440, 448, 129, 297, 41, 53, 319, 447, 29, 68, 64,
    240, 272, 308, 165, 166, 155, 161, 430, 433, 428, 429, 442, 303, 304, 321, 298, 323, 250, 248, 249, 425,
)  # fmt: skip
_GENERIC = (
    None, None, 221, 281, 117, 270, 271, 272, 434, 438, 424, 440, 448, 138, 240, 198, 199, 279, 447, 194,
    186, 190, 180, 97, 268, 40, 39, 41, 51, 430, 433, 428, 429, 442, 264, 265, 280, 241, 282, 219, 217, 218,
    425,
)  # fmt: skip
_CLONE3 = 435
# machine -> its audit number, the denied calls, clone, and the calls in _TO_OTHERS
_MACHINES = {
    "x86_64": (0xC000003E, _X86_64, 56, (62, 200, 234)),
    "aarch64": (0xC00000B7, _GENERIC, 220, (129, 130, 131)),
}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_CLONE_THREAD = 0x10000


def _filter(audit: int, denied: tuple[int | None, ...], clone: int, to_others: tuple) -> bytes:
    """The filter as a program of the kernel's packet filter, 8 bytes an instruction."""
    number, machine, first = 0, 4, 16  # offsets in struct seccomp_data

    def step(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, k)

    def refuse(call: int, error: int) -> bytes:
        return step(_EQUAL, call, 0, 1) + step(_RETURN, _ERROR | error)

    def only_if(call: int, test: int, k: int) -> bytes:
        """Allow `call` only where its first argument passes the test."""
        return (
            step(_EQUAL, call, 0, 4)
            + step(_LOAD, first)
            + step(test, k, 0, 1)
            + step(_RETURN, _ALLOW)
            + step(_RETURN, _ERROR | _EPERM)
        )

    own = os.getpid()
    return b"".join(
        [
            step(_LOAD, machine),
            step(_EQUAL, audit, 1, 0),
            step(_RETURN, _KILL),
            step(_LOAD, number),
            step(_AT_LEAST, 0x40000000, 0, 1),  # the other numbering of x86_64 (x32)
            step(_RETURN, _ERROR | _ENOSYS),
            *(refuse(call, _EPERM) for call in denied if call is not None),
            # Its flags lie in memory, where a filter cannot look; libc goes back to clone.
            refuse(_CLONE3, _ENOSYS),
            only_if(clone, _ANY_BIT, _CLONE_THREAD),
            *(only_if(call, _EQUAL, own) for call in to_others),
            step(_RETURN, _ALLOW),
        ]
    )
