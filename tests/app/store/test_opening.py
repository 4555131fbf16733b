from pathlib import Path

import pytest
from pydantic import SecretStr

from app.runtime.settings import Settings
from app.store.database import Database
from app.store.embedded.leftovers import processes_on
from app.store.models import Merchant
from app.store.opening import run_with_database


async def count(database: Database) -> tuple[int, int]:
    await Merchant.create(key="one", name="one", category="grocer")
    return await Merchant.all().count(), await database.fetchval("SELECT count(*) FROM merchant")


def test_an_embedded_database_is_run_for_the_work_and_stopped(tmp_path: Path):
    assert run_with_database(Settings(data_dir=tmp_path, database_url=None), count) == (1, 1)
    assert not processes_on(tmp_path / "postgres")


def test_progress_is_told(tmp_path: Path):
    done: list[str] = []

    async def nothing(_: Database) -> None: ...

    run_with_database(
        Settings(data_dir=tmp_path, database_url=None), nothing, progress=lambda event, *_: done.append(event)
    )
    assert "apply_done" in done


@pytest.fixture
async def empty_url(new_database) -> str:
    return await new_database(empty=True)


@pytest.mark.usefixtures("database")  # which is the default of the process
def test_models_speak_to_the_database_of_the_command(empty_url: str, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(empty_url))
    with pytest.raises(ZeroDivisionError):  # what the work raises is raised, and everything closed
        run_with_database(settings, lambda _: 1 / 0)
    assert run_with_database(settings, count) == (1, 1)
