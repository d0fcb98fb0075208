"""Jobs: what is to be told to one subscriber."""

from __future__ import annotations

import gc

from tests.unit.subscriptions.samples import change, subscription
from tsunagu.subscriptions.job import Job, bundle


def test_a_job_that_is_done_is_freed_at_once() -> None:
    """Neither a job nor a bundle is part of a cycle: the documents in it go without the collector."""
    one = subscription()
    gc.collect()
    gc.disable()
    try:
        jobs = [Job(one, (change(name),), number, lane=name) for number, name in enumerate("ab")]
        both = bundle(jobs)
        assert both.parts == tuple(jobs)
        assert jobs[0].parts == (jobs[0],)
        del jobs, both
        assert not [found for found in gc.get_objects() if type(found) is Job]  # isinstance asks weak proxies, too
    finally:
        gc.enable()
