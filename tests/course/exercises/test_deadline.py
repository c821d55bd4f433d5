"""A learner's endless loop comes to an end."""

import threading
import time

import pytest

from course_lib.course.exercises.deadline import OutOfTime, deadline


class TestDeadline:
    def test_python_loop_ends(self):
        with pytest.raises(OutOfTime), deadline(0.05):
            while True:
                pass

    def test_sleep_ends(self):
        began = time.monotonic()
        with pytest.raises(OutOfTime), deadline(0.05):
            time.sleep(5)
        assert time.monotonic() - began < 2

    def test_loop_in_another_thread_ends(self):
        caught = []

        def work():
            try:
                with deadline(0.05):
                    while True:
                        pass
            except OutOfTime:
                caught.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(5)
        assert caught == [True]

    def test_in_time_is_in_time(self):
        with deadline(0.2):
            pass
        time.sleep(0.3)
