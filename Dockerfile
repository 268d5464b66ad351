# The image of provisioner: one static binary, CA certificates, what it is made of and its licences. docs/docker.md says how to build and
# run it.
#
# The base images are pinned by tag; where builds must not follow a tag that moves, give them by digest:
#   --build-arg GO_IMAGE=docker.io/library/golang@sha256:… --build-arg BASE_IMAGE=gcr.io/distroless/static-debian12@sha256:…
ARG GO_IMAGE=docker.io/library/golang:1.26.8
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY . .

# The same source, version and Go give the same binary, byte for byte, wherever and whenever it is built: no paths, no times, no
# identity of the build. The commit is in a label, for .git is not a part of the context.
ARG TARGETOS=linux
ARG TARGETARCH=amd64
ARG VERSION=0.1.0
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
      -ldflags "-s -w -buildid= -X github.com/provisioner/provisioner/cmd.release=$VERSION" -o /out/root/usr/bin/provisioner . && \
    mkdir -p /out/root/usr/share/sbom /out/root/usr/share/doc/provisioner /out/volumes/data && chmod 0700 /out/volumes/data && \
    cp LICENSE docs/THIRD_PARTY_LICENSES /out/root/usr/share/doc/provisioner && chmod 0644 /out/root/usr/share/doc/provisioner/* && \
    CGO_ENABLED=0 go run -trimpath ./cmd/sbom -version "$VERSION" /out/root/usr/bin/provisioner >/out/root/usr/share/sbom/provisioner.cdx.json

FROM ${BASE_IMAGE}
COPY --from=build /out/root/ /
COPY --from=build --chown=65532:65532 /out/volumes/ /

# The container's network is the border, where outside of a container loopback is. The admin listener stays on loopback: only the
# health check asks it, until ADMIN_ADDR lets probes and Prometheus in.
ENV SENDER_ADDR=:8787 RECEIVER_ADDR=:8788 PAPYRUS_ADDR=:8080 DATA_DIR=/data
VOLUME /data
WORKDIR /data
USER 65532:65532
EXPOSE 8787 8788 8080 9090

HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/bin/provisioner", "healthcheck"]
ENTRYPOINT ["/usr/bin/provisioner"]
CMD ["serve", "all"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="provisioner" \
      org.opencontainers.image.description="Accounts, API keys and sync for apps that work offline" \
      org.opencontainers.image.source="https://github.com/provisioner/provisioner" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
