"""Start of the command: install signal handlers, check the platform, then run the command line."""

# Not even annotations from __future__: that is an import too, and a signal in it would still end with a traceback.
import _signal  # type: ignore[import-not-found]  # the built-in half of signal, which takes 7 ms to import: too long without a handler
import os
import sys

LEAST_ADDRESS_SPACE = 64 << 20  # bytes; a run needs about 56 MB
NO_MEMORY = b"zcload: error: not enough memory to start (see `ulimit -v` and the memory limit of the control group)\n"


def main() -> None:
    """Run the command line and exit with its code."""
    # Before anything slow is imported: an early Ctrl-C ends quietly and with the shells' code.
    for signum in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(signum, lambda number, frame: os._exit(128 + number))
    if not sys.platform.startswith("linux"):
        print(f"zcload: error: zcload measures Linux system calls and runs on Linux only; this is {sys.platform}", file=sys.stderr)
        sys.exit(2)
    try:
        from zcload.cli import streams

        streams.install()  # first of all that opens files: none may get the number of a standard stream that is closed
        from zcload.cli.stored_help import stored_answer

        answer = stored_answer(sys.argv[1:])
        if answer is not None:
            print(answer, end="")
            sys.exit(streams.finish(0))
        import resource

        allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
        if 0 <= allowed < LEAST_ADDRESS_SPACE:  # pydantic's compiled code would abort where an allocation fails, without a word of ours
            has, needs = allowed >> 10, LEAST_ADDRESS_SPACE >> 10
            line = f"not enough memory to start: RLIMIT_AS allows {has} KiB of address space, type: ulimit -v {needs}"
            os.write(2, f"zcload: error: {line}\n".encode())
            os._exit(1)
        from zcload.linux import interrupt

        interrupt.install()
        from zcload.cli.command_line import run_command_line

        code = streams.finish(run_command_line())
    except OSError as error:
        import errno

        if error.errno == errno.ENOMEM:  # of an import, while a lack of memory was to be told
            os.write(2, NO_MEMORY)
            os._exit(1)
        remedies = {errno.EMFILE: " (see `ulimit -n`)", errno.ENFILE: " (see fs.file-max)", errno.ENOBUFS: " (see net.core in `sysctl -a`)"}
        if error.errno not in remedies:
            raise
        os.write(2, f"zcload: error: {os.strerror(error.errno).lower()}{remedies[error.errno]}\n".encode())
        os._exit(1)
    except (MemoryError, ImportError) as error:
        # So little address space that not even the modules fit, or not the report of that: os._exit needs none.
        if isinstance(error, ImportError) and "failed to map segment" not in str(error):
            raise
        os.write(2, NO_MEMORY)
        os._exit(1)
    sys.exit(code)
