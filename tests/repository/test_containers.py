"""The image and the compose file say what they have to, checked by reading them: no container engine is needed."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from backend.cli import app
from backend.settings import Settings
from tests.repository.containers import Stage, read_compose, read_dockerfile, variables

# Keys of a service in the compose specification that are used here; one that is misspelt would be ignored or refused.
SERVICE_KEYS = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "deploy",
    "env_file",
    "environment",
    "healthcheck",
    "image",
    "logging",
    "networks",
    "ports",
    "profiles",
    "read_only",
    "restart",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "tmpfs",
    "user",
    "volumes",
}
OURS = ("api", "worker", "worker-gpu")


@pytest.fixture(scope="module")
def stages(repository: Path) -> list[Stage]:
    return read_dockerfile(repository / "Dockerfile")


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict[str, Any]:
    return read_compose(repository / "docker-compose.yml")


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


def test_the_image_holds_no_build_tools_and_is_nobody(stages: list[Stage]) -> None:
    build, final = stages
    assert build.name == "build"
    assert final.name is None
    assert all(re.fullmatch(r"python:3\.11-slim-\w+", stage.base) for stage in stages)
    assert not any("pip install" in text or "gcc" in text for text in final.texts("RUN"))
    assert any("pip uninstall" in text for text in final.texts("RUN"))
    assert final.texts("USER") == ["10001:10001"]
    assert final.texts("COPY") == ["--from=build /opt/expertscope /opt/expertscope"]
    assert final.texts("VOLUME") == ["/data"]


def test_the_image_installs_pinned_versions_and_torch_for_cpus_unless_asked(stages: list[Stage]) -> None:
    installs = re.findall(r"pip --python \S+ install[^&]*", " && ".join(stages[0].texts("RUN")))
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in line for line in installs)
    assert "--no-deps" in installs[0]  # no name but torch is looked up in PyTorch's index
    assert stages[0].texts("ARG") == ["TORCH=cpu"]


def test_the_image_names_the_packages_of_pango_that_the_set_up_names(repository: Path, stages: list[Stage]) -> None:
    packages = re.search(r'packages="([^"]+)"', (repository / ".ci" / "pango").read_text(encoding="utf-8"))
    assert packages is not None
    assert any(f"--no-install-recommends {packages[1]} " in text for text in stages[1].texts("RUN"))


def test_everything_that_is_copied_passes_the_dockerignore(repository: Path, stages: list[Stage]) -> None:
    copied = {name for text in stages[0].texts("COPY") for name in text.split()[:-1]}
    lines = (repository / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((repository / name).exists() for name in copied)


def test_nothing_is_written_outside_the_data_and_tmp(stages: list[Stage]) -> None:
    folders = {name: value for name, value in stages[1].environment().items() if re.search(r"HOME|DIR$", name)}
    assert set(folders) == {"HOME", "XDG_CACHE_HOME", "HF_HOME", "EXPERTSCOPE_DATA_DIR"}
    assert all(re.match(r"/(data|tmp)(/|$)", value) for value in folders.values())


def test_the_image_has_no_secret(repository: Path, stages: list[Stage]) -> None:
    for stage in stages:
        assert not [name for name in stage.environment() if re.search(r"SECRET|TOKEN|PASSWORD|KEY", name)]
        assert not [text for text in stage.texts("ARG") if re.search(r"SECRET|TOKEN|PASSWORD|KEY", text)]


def test_the_image_says_what_it_is(stages: list[Stage]) -> None:
    (labels,) = stages[1].texts("LABEL")
    names = re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)
    assert names == ["title", "description", "licenses", "version", "revision"]


def test_compose_has_the_parts_of_its_specification(compose: dict[str, Any], services: dict[str, Any]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == {"name", "services", "networks", "volumes"}
    assert set(services) == {*OURS, "postgres"}
    for name, service in services.items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service["networks"]) <= set(compose["networks"]), name
        mounts = [one for one in service["volumes"] if isinstance(one, str)]
        assert {one.partition(":")[0] for one in mounts} <= set(compose["volumes"]), name
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in services[other]


def test_every_service_is_locked_down(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service["user"].startswith(("0", "root")), name
        assert any(one.partition(":")[0] == "/tmp" for one in service["tmpfs"]), name
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name


def test_only_the_server_has_a_port_and_only_on_this_machine(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:${EXPERTSCOPE_PUBLISHED_PORT:-8000}:8000"]}


def test_the_database_is_reached_from_inside_alone(compose: dict[str, Any], services: dict[str, Any]) -> None:
    assert services["postgres"]["networks"] == ["back"]
    assert compose["networks"]["back"] == {"internal": True}
    assert re.fullmatch(r"postgres:\d+(-\w+)?", services["postgres"]["image"])
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]


def test_server_and_workers_share_data_and_user(services: dict[str, Any], stages: list[Stage]) -> None:
    for name in OURS:
        assert "data:/data" in services[name]["volumes"], name
        assert services[name]["user"] == stages[1].texts("USER")[0], name
        assert (
            services[name]["environment"]["EXPERTSCOPE_DATABASE_URL"]
            == services["api"]["environment"]["EXPERTSCOPE_DATABASE_URL"]
        )


def test_the_gpu_is_asked_for_in_its_profile_alone(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "profiles" in service] == ["worker-gpu"]
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert services["worker-gpu"]["image"] != services["worker"]["image"]
    assert services["worker-gpu"]["build"]["args"] == {"TORCH": "${EXPERTSCOPE_TORCH:-cu130}"}


def test_what_is_secret_has_to_be_given_and_is_in_no_file(repository: Path) -> None:
    text = (repository / "docker-compose.yml").read_text(encoding="utf-8")
    asked = variables(text)
    required = {name for name, rest in asked.items() if rest.startswith(":?")}
    assert required == {"POSTGRES_PASSWORD", "EXPERTSCOPE_SECRET", "EXPERTSCOPE_PUBLIC_URL"}
    example = (repository / "deploy" / "env.example").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert set(asked) <= set(lines)
    assert all(lines[name] == "" for name in lines if re.search(r"PASSWORD|SECRET|TOKEN|KEY", name))


def test_settings_that_are_named_exist(repository: Path, services: dict[str, Any], stages: list[Stage]) -> None:
    known = {f"EXPERTSCOPE_{name.upper()}" for name in Settings.model_fields}
    named = {name for service in services.values() for name in service.get("environment", {})}
    named |= set(stages[1].environment())
    example = (repository / "deploy" / "env.example").read_text(encoding="utf-8")
    of_compose = set(variables((repository / "docker-compose.yml").read_text(encoding="utf-8")))
    named |= set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) - of_compose
    assert {name for name in named if name.startswith("EXPERTSCOPE_")} <= known


def test_commands_and_options_that_are_named_exist(services: dict[str, Any], stages: list[Stage]) -> None:
    lines = [stages[1].command("CMD"), stages[1].command("HEALTHCHECK")]
    lines += [services[name]["command"] for name in OURS]
    lines += [services[name]["healthcheck"]["test"][1:] for name in OURS]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for program, name, *options in lines:
        assert program == "expertscope"
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert {one for one in options if one.startswith("-")} <= known, (name, options)
