"""What a tensor shows of itself, and takes to another process."""

import pickle
import subprocess
import sys

from tensor_cases import hours

from dagcast_core.tensor import IndexTensor


def test_representations_show_what_matters(rides):
    assert repr(rides) == (
        "IndexTensor 'rides' (region: 3, hour: 6) float64 cpu\n"
        "  region  'SFO', 'LAX', 'SEA'\n"
        "  hour    2024-01-01 00:00:00+00:00, 2024-01-01 01:00:00+00:00 ... "
        "2024-01-01 05:00:00+00:00"
    )
    assert "requires_grad" in repr(rides.clone().detach().requires_grad_())
    assert "grad_fn=" in repr(rides.requires_grad_() * 2)
    assert "<th>region</th>" in rides.named("<b>")._repr_html_()
    assert "&lt;b&gt;" in rides.named("<b>")._repr_html_()


def test_another_process_reads_a_pickled_tensor():
    a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": hours("2024-01-01", 2)}, "rides")
    code = (
        "import pickle, sys; a = pickle.load(sys.stdin.buffer); b = a.sel(region=['SFO'])\n"
        "assert b.layout is a.layout; sys.stdout.write(repr((a + b).tolist()) + a.name)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], input=pickle.dumps(a), capture_output=True
    )
    assert done.stdout.decode() == "[[2.0, 4.0]]rides", done.stderr.decode()
    assert pickle.loads(pickle.dumps(a)).layout is a.layout
