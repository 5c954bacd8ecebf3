# The web server and the worker in one container; what they write is in the volume /data.
#
#   docker build -t sightline .
#   docker run --read-only --tmpfs /tmp -v sightline:/data -p 8501:8501 \
#     -v ./users.yaml:/app/.streamlit/users.yaml:ro \
#     -e SIGHTLINE_COOKIE_KEY -e SIGHTLINE_ALLOWED_HOSTS='["sightline.example.com"]' sightline
#
# In a container the server listens on all addresses, so it starts only with sign-in configured:
# users.yaml with SIGHTLINE_COOKIE_KEY, or secrets.toml with an [auth] table for OpenID Connect.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    SIGHTLINE_ADDRESS=0.0.0.0 \
    SIGHTLINE_PORT=8501 \
    SIGHTLINE_DATA_DIR=/data \
    HOME=/tmp

# The Procfile starts everything from .venv, here as in a checkout.
WORKDIR /app
COPY requirements.txt ./
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir -r requirements.txt

COPY Home.py Procfile ./
COPY .streamlit/config.toml .streamlit/
COPY lib lib
COPY pages pages
COPY static static
RUN .venv/bin/python -m compileall -q lib pages Home.py \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sightline \
    && install --directory --owner=sightline --mode=700 /data

USER 10001
VOLUME /data
EXPOSE 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD [".venv/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/healthz', timeout=4)"]
CMD [".venv/bin/honcho", "start"]
