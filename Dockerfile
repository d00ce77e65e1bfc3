# Every builder can build this: the classic one, BuildKit, podman. The image contains one static program and nothing else.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=""
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /doyasa ./cmd/doyasa

# An empty folder for the history: a new volume takes its owner from this folder.
WORKDIR /data

FROM scratch
ARG VERSION=""
LABEL org.opencontainers.image.title="doyasa" \
      org.opencontainers.image.description="A broadcast chat server: press どやさ in one tab, see it in every tab" \
      org.opencontainers.image.source="https://github.com/doyasa/doyasa" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /doyasa /doyasa
COPY --from=build --chown=65532:65532 /data /data
# The server and its health check both read ./config.yaml if it exists: mount one at /config/config.yaml.
WORKDIR /config
USER 65532:65532
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/doyasa", "healthcheck"]
ENTRYPOINT ["/doyasa"]
