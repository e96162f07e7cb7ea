"""What a whole call is compared with: Flask, the body parsed completely, no cards. Nothing here knows any medicine."""

import flask
import orjson

from hooks.gateway import Gateway

FLOOR_PATH = "/floor"
NOTHING_PATH = "/nothing"

_NO_CARDS = b'{"cards":[]}'

app = flask.Flask("floor", static_folder=None)
gateway = Gateway(app, 16 * 2**20)
"""The same application where the service stands: behind the gateway to the event loop."""


@app.post(FLOOR_PATH)
def floor() -> flask.Response:
    orjson.loads(flask.request.get_data(cache=False))
    return flask.Response(_NO_CARDS, mimetype="application/json")


@app.post(NOTHING_PATH)
def nothing() -> flask.Response:
    """Only what the server and Flask cost: the body is received and not looked at."""
    flask.request.get_data(cache=False)
    return flask.Response(_NO_CARDS, mimetype="application/json")
