# One image for every process of ReplyHQ; the command says which one a container runs.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/replyhq
COPY requirements.lock .
RUN /opt/replyhq/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /opt/replyhq/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --no-create-home replyhq && install -d -m 700 -o replyhq /var/lib/replyhq
COPY --from=build /opt/replyhq /opt/replyhq
ENV PATH=/opt/replyhq/bin:$PATH PYTHONUNBUFFERED=1 REPLYHQ_HOST=0.0.0.0 REPLYHQ_LOG_JSON=true
USER replyhq
WORKDIR /tmp
EXPOSE 8000
CMD ["replyhq", "serve"]
