"""Kernels that do not pay for their imports: `--warm-kernels`, on Linux.

A fresh kernel spends five seconds on importing torch, pandas, scikit-learn and the plots; a run of all notebooks and
learner copies starts 48 of them. Here one process imports once (`warm.py --serve SOCKET`, which tests/conftest.py
starts) and forks for each kernel. It has one thread and has computed nothing: a fork is as good as a fresh process.

Jupyter starts `warm.py CONNECTION_FILE` as the kernel: it asks the server for a fork and lives exactly as long as that.
"""

import json
import os
import signal
import socket
import sys
import threading
import time

ADDRESS = "COURSE_WARM_KERNELS"


def ask(connection_file: str) -> None:
    """Have a kernel forked that has this process's folder, environment and output; return when it has ended."""
    with socket.socket(socket.AF_UNIX) as server:
        for _ in range(600):  # the server may still be importing
            try:
                server.connect(os.environ[ADDRESS])
                break
            except OSError:
                time.sleep(0.1)
        request = json.dumps({"file": connection_file, "folder": os.getcwd(), "environment": dict(os.environ)})
        socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(request.encode())
        parent = os.getppid()
        server.settimeout(1)
        while os.getppid() == parent:  # else the tests were killed: this process ends, and so does the kernel
            try:
                server.recv(1)  # nothing is ever sent: the end of the kernel ends the connection
                break
            except TimeoutError:
                continue


def serve(address: str) -> None:
    """Import, then fork a kernel for each connection, until the process that started this one has ended."""
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as every IPython kernel sets it
    import ipykernel.kernelapp  # noqa: F401
    import librosa  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import scipy.signal  # noqa: F401

    import course_lib.estimator
    import course_lib.events
    import course_lib.plots  # noqa: F401
    from course_lib.course.exercises import exercises

    exercises()
    parent = os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks that end are nobody's business
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(1)
        while os.getppid() == parent:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            if os.fork() == 0:
                listener.close()
                kernel(connection)
                os._exit(0)
            connection.close()


def kernel(connection: socket.socket) -> None:
    """Be the kernel that was asked for; end at once where the asking process has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.setblocking(True)
    length, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        request = json.loads(stream.read(int.from_bytes(length, "big")))
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[0] = ""
    os.setsid()
    threading.Thread(target=lambda: (connection.recv(1), os._exit(1)), daemon=True).start()
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(["-f", request["file"], "--IPKernelApp.log_level=40"])


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2])
    else:
        ask(sys.argv[1])
