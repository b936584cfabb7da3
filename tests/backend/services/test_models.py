"""Models: inspected before they are accepted, and only from where they may come."""

from pathlib import Path

import pytest

from analysis.errors import ExpertScopeError, InputError, ModelError, NotFoundError
from backend.services import ModelInfo, Services, open_services
from backend.settings import Settings
from tests.tiny_models import save_tiny_model


def test_a_registered_folder_is_described(model: ModelInfo, model_folder: Path) -> None:
    assert (model.ref, model.revision, model.name, model.family) == (str(model_folder), None, "tiny-qwen", "qwen3_moe")
    assert model.description["moe_layers"] == [0, 2]
    assert model.description["dense_layers"] == [1]
    assert (model.description["experts"], model.description["top_k"]) == (8, 3)


def test_registering_again_gives_the_same_model(services: Services, model: ModelInfo, model_folder: Path) -> None:
    assert services.models.register(f"{model_folder}/") == model
    assert services.models.find(str(model_folder)) == services.models.find(model.id) == model
    assert services.models.list().count == 1


def test_a_relative_folder_is_stored_so_that_a_worker_elsewhere_finds_it(
    services: Services, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_folder.parent)
    assert services.models.register("./tiny-qwen").ref == str(model_folder)


def test_a_dense_model_is_refused_and_not_stored(services: Services, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expert"):
        services.models.register(str(save_tiny_model("llama", tmp_path / "dense")))
    assert services.models.list().count == 0


def test_a_missing_folder_is_refused(services: Services, tmp_path: Path) -> None:
    with pytest.raises(ExpertScopeError, match="missing") as caught:
        services.models.register(str(tmp_path / "missing"))
    assert caught.value.status in (404, 422)
    assert services.models.list().count == 0


@pytest.mark.parametrize("ref", ["", "   "])
def test_an_empty_reference_is_refused(services: Services, ref: str) -> None:
    with pytest.raises(InputError, match="empty"):
        services.models.register(ref)


NO_PATHS = {
    "nul": "/models/a\0b",
    "nobody's home": "~nobody-of-that-name/m",
    "too long": "/" + "m" * 5_000,
    "a line": "/a\nb",
}


@pytest.mark.parametrize("ref", NO_PATHS.values(), ids=NO_PATHS.keys())
def test_what_cannot_be_a_path_is_refused(services: Services, ref: str) -> None:
    with pytest.raises(InputError, match="ref"):
        services.models.register(ref)
    with pytest.raises(InputError, match="folder"):
        services.adapters.inspect(ref)


@pytest.mark.parametrize("ref", ["m" * 5_000, "a\0b", "owner/" + "m" * 300, "\udcff"])
def test_what_no_hub_id_can_be_is_refused(services: Services, ref: str) -> None:
    with pytest.raises((InputError, NotFoundError)):
        services.models.register(ref)


def test_an_unknown_id_is_not_taken_for_a_model_on_a_hub(services: Services) -> None:
    for call in (services.models.get, services.models.find):
        with pytest.raises(NotFoundError, match="abcdef123456"):
            call("abcdef123456")


@pytest.fixture
def fenced(tmp_path: Path) -> Services:
    (tmp_path / "allowed").mkdir()
    return open_services(Settings(data_dir=tmp_path / "data", model_roots=[tmp_path / "allowed"]))


def test_folders_outside_the_roots_are_refused(fenced: Services, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="outside"):
        fenced.models.register(str(model_folder))
    with pytest.raises(InputError, match="outside"):
        fenced.models.register(f"{tmp_path}/allowed/../elsewhere")


def test_a_link_does_not_lead_out_of_the_roots(fenced: Services, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "allowed" / "link").symlink_to(model_folder)
    with pytest.raises(InputError, match="outside"):
        fenced.models.register(str(tmp_path / "allowed" / "link"))


def test_folders_inside_the_roots_are_accepted(fenced: Services, tmp_path: Path) -> None:
    folder = save_tiny_model("olmoe", tmp_path / "allowed" / "mine")
    assert fenced.models.register(str(folder)).family == "olmoe"


def test_a_server_on_a_network_offers_no_folder_unless_told(tmp_path: Path, model_folder: Path) -> None:
    services = open_services(Settings(data_dir=tmp_path, host="0.0.0.0", accounts=True))
    with pytest.raises(InputError, match="EXPERTSCOPE_MODEL_ROOTS"):
        services.models.register(str(model_folder))


def test_an_inspection_stores_nothing(services: Services, model_folder: Path) -> None:
    found = services.models.inspect(str(model_folder))
    assert (found.name, found.family, found.registered) == ("tiny-qwen", "qwen3_moe", None)
    assert services.models.list().count == 0
    assert services.models.inspect(str(model_folder)).registered is None
    registered = services.models.register(str(model_folder))
    assert services.models.inspect(str(model_folder)).registered == registered.id


def test_an_inspection_counts_what_one_token_meets(services: Services, model_folder: Path) -> None:
    from safetensors import safe_open

    found = services.models.inspect(str(model_folder)).description
    (file,) = model_folder.glob("*.safetensors")
    with safe_open(file, "pt") as weights:
        sizes = {name: weights.get_tensor(name).numel() for name in weights.keys()}  # noqa: SIM118
    experts = sum(size for name, size in sizes.items() if ".experts." in name)
    assert found["active_parameters"] == found["parameters"] - experts * (8 - 3) // 8
    assert found["weights_bytes"] == file.stat().st_size
    assert found["conformance"] == "exact"
