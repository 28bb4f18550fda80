# docker build -t snakepit . && docker run --rm -p 8000:8000 snakepit
# docker build -t snakepit --build-arg PYTHON=3.15 .
ARG PYTHON=3.14
FROM python:${PYTHON}-slim

RUN useradd --create-home --uid 10001 snakepit

COPY pyproject.toml README.md LICENSE /src/
COPY snakepit /src/snakepit
RUN pip install --no-cache-dir --root-user-action ignore /src

COPY examples /app
WORKDIR /app
USER snakepit

EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/', timeout=4).read()"]
CMD ["snakepit", "run", "asgi:app", "--host", "0.0.0.0", "--port", "8000"]
