#!/bin/sh
# Fills the user's folder, then hands over: to JupyterHub if it started this, else to JupyterLab alone.
set -eu
cd "$HOME"
rlcourse start my-course
if [ -n "${JUPYTERHUB_API_TOKEN:-}" ]; then
    exec jupyterhub-singleuser "$@"
fi
exec rlcourse lab my-course --no-browser --ip 0.0.0.0 "$@"
