# One image for the service and the worker; compose.yaml says which is which.

FROM node:24-slim AS web
WORKDIR /web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci
COPY web/ ./
RUN npm run build

FROM python:3.12-slim
WORKDIR /app
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 \
    # Fewer arenas: job processes are many and small.
    MALLOC_ARENA_MAX=2
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE agents.yaml ./
COPY src ./src
RUN pip install --no-deps --no-build-isolation .
COPY --from=web /web/dist ./web/dist
RUN useradd --create-home assistant
USER assistant
CMD ["python", "-m", "assistant", "start"]
