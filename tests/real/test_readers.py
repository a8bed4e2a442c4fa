"""The readers of public panels, on small files made here, with the traps in them."""

import pytest
from readers import read_m4_hourly

from dagcast_core.data import DataError


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_m4_series_are_ragged(data):
    (data / "m4_Hourly-train.csv").write_text('"V1","V2","V3","V4"\n"H1","1","2","3"\n"H2","4",,\n')
    (data / "m4_Hourly-test.csv").write_text('"V1","V2"\n"H1","5"\n"H2","6"\n')
    first, second = read_m4_hourly(data)
    assert (first.name, first.train.tolist(), first.test.tolist()) == ("H1", [1, 2, 3], [5])
    assert (second.train.tolist(), second.test.tolist()) == ([4], [6])
    (data / "m4_Hourly-train.csv").write_text('"V1","V2","V3","V4"\n"H1","1",,"3"\n"H2","4",,\n')
    with pytest.raises(DataError, match="found a hole"):
        read_m4_hourly(data)
    (data / "m4_Hourly-train.csv").write_text('"V1","V2"\n"H1","1"\n')
    with pytest.raises(DataError, match="found 'H2' in one of them only"):
        read_m4_hourly(data)
