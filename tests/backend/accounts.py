"""Accounts for tests: one of each role, and clients that are signed in as them."""

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.testclient import TestClient

from backend.access import Role
from backend.services import Services
from tests.backend.factories import BASE_URL

PASSWORD = "plum orbit canvas nine"


@dataclass(frozen=True)
class People:
    """An admin, an analyst and a viewer, and the ids of their accounts."""

    app: FastAPI
    services: Services
    ids: dict[str, str]

    def client(self, name: str | None = None) -> TestClient:
        """A browser of one of them, which follows no redirect; without a name, of a stranger."""
        client = TestClient(self.app, base_url=BASE_URL, follow_redirects=False)
        if name is not None:
            answer = client.post("/sign-in", data={"name": name, "password": PASSWORD})
            assert answer.status_code == 303, answer.text
        return client


def make_people(app: FastAPI, services: Services) -> People:
    made = {role.value: services.accounts.create(role.value, role, PASSWORD) for role in Role}
    return People(app, services, {name: user.id for name, user in made.items()})
