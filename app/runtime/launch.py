"""Becomes another program that ends when its starter does; run as a script, with the standard library alone.

    python launch.py SIGNAL STARTER_PID USER_ID GROUP_ID FOLDER PROGRAM [ARGUMENT ...]

A user id of -1 keeps the present user. What it does belongs between fork and exec, where threads of the
starter would make Python code unsafe; hence a program of its own.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def end_with_starter(signal_number: int, starter: int) -> None:
    """Ask Linux to send this process a signal once its starter is gone; elsewhere do nothing."""
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != starter:  # gone before the request was made
        raise SystemExit(1)


def become(user: int, group: int) -> None:
    """Give up root for another user for good."""
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def main(arguments: list[str]) -> None:
    """Do what the module says."""
    signal_number, starter, user, group = map(int, arguments[:4])
    folder, program = arguments[4], arguments[5:]
    os.setsid()  # a Ctrl-C in the terminal is for the starter, which stops its children in order
    os.chdir(folder)  # before giving up root: the way to the folder may be closed to the other user
    if user >= 0:
        become(user, group)
    end_with_starter(signal_number, starter)  # after it: a change of user clears the request
    os.execv(program[0], program)  # noqa: S606  # replacing this process is the point; no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
