"""A plugin for LocalStack: Lambda functions as processes of this machine, without Docker.

A function's unpacked zip is run by AWS's own parts: the Runtime Interface Emulator (PROCESS_RIE) around the
Python runtime client (PROCESS_PYTHON has awslambdaric installed, and nothing else that a zip could borrow).
FUNCTION_ENDPOINT is where functions call AWS; by default LocalStack itself.
"""

import json
import os
import socket
import subprocess
import tempfile
import time

import psutil
import requests
from localstack import config
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor
from plux import Plugin

START_SECONDS = 60
LONGEST_INVOCATION = 910  # seconds: Lambda's own limit is 900


class ProcessExecutor(RuntimeExecutor):
    """One execution environment: the emulator, and the runtime that it starts for the first invocation."""

    def start(self, env_vars):
        code = str(self.function_version.config.code.get_unzipped_code_location())
        self._port = _free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            [
                os.environ["PROCESS_RIE"],
                *("--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"),
                *("--runtime-api-address", f"127.0.0.1:{_free_port()}"),
                *(os.environ["PROCESS_PYTHON"], "-m", "awslambdaric", env_vars["_HANDLER"]),
            ],
            cwd=code,
            env=_environment(env_vars, code),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._await_emulator()

    def _await_emulator(self):
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("the Runtime Interface Emulator did not start")

    def stop(self):
        # The emulator puts the runtime into a process group of its own.
        emulator = psutil.Process(self._process.pid)
        for process in (emulator, *emulator.children(recursive=True)):
            process.kill()
        self._process.wait()
        self._log.close()

    def invoke(self, payload):
        url = f"http://127.0.0.1:{self._port}/2015-03-31/functions/function/invocations"
        written = os.fstat(self._log.fileno()).st_size
        answer = requests.post(
            url,
            data=payload["payload"].encode(),
            headers={"X-Amzn-RequestId": payload["invoke-id"]},
            proxies={"http": "", "https": ""},
            timeout=LONGEST_INVOCATION,
        )
        logs = os.pread(self._log.fileno(), 10_000_000, written).decode(errors="replace")
        return InvocationResult(payload["invoke-id"], answer.content, _is_error(answer.content), logs)

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}/unused"

    def get_logs(self):
        return ""

    @classmethod
    def prepare_version(cls, function_version):
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, _function_version):
        """Keep the unpacked zip: the next version of a reconfigured function runs from the same folder."""


def _environment(variables, code):
    endpoint = os.environ.get("FUNCTION_ENDPOINT") or variables["AWS_ENDPOINT_URL"]
    own = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LAMBDA_TASK_ROOT": code, "AWS_ENDPOINT_URL": endpoint}
    return {name: str(value) for name, value in variables.items()} | own


def _is_error(content):
    """Whether the answer is an error: the emulator says 200 to an exception, and text to a time-out."""
    try:
        answer = json.loads(content)
    except ValueError:
        return True
    return isinstance(answer, dict) and "errorType" in answer and "errorMessage" in answer


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class ProcessExecutorPlugin(Plugin):
    """What LAMBDA_RUNTIME_EXECUTOR=process names."""

    namespace = "localstack.lambda.runtime_executor"
    name = "process"

    def load(self, *_args, **_kwargs):
        return ProcessExecutor
