"""Serves models over HTTP and sockets, and asks servers."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.serve.client import Client as Client
    from tidegate.serve.remote import RemoteStream as RemoteStream
    from tidegate.serve.server import Server as Server
    from tidegate.serve.settings import Settings as Settings

open_door(__name__)
