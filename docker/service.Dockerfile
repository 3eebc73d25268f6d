# The service. It is built from the tree in a stage of its own; what ships is the binary and the libraries that it needs.
#
#     docker build -f docker/service.Dockerfile -t migrationd .
#
# The difficulty is size: Debian's libvirt0 brings ICU and much that a client of remote hosts never opens, so
# docker/service/dpkg.cfg says which files are left out of the packages. Nothing is written but to the volume and to
# /run/migrationd; so the root may be read-only.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
COPY tests/packages.txt /
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates \
	$(grep -E '^(gcc|meson|ninja-build|pkgconf|lib.*-dev)$' /packages.txt | grep -v cmocka)
COPY . /source
RUN meson setup --buildtype=release --prefix=/usr -Dtests=false /build /source \
	&& meson compile -C /build \
	&& DESTDIR=/tree meson install -C /build --strip --no-rebuild \
	&& rm -rf /tree/usr/share \
	&& install -D -m 644 /source/docker/service/migrationd.yaml /tree/etc/migrationd/migrationd.yaml \
	&& install -D -m 755 -t /tree/usr/lib/migrationd /source/docker/service/entrypoint /source/docker/service/healthy \
	&& install -D -m 644 /etc/ssl/certs/ca-certificates.crt /tree/etc/ssl/certs/ca-certificates.crt

FROM ${BASE}
COPY docker/service/dpkg.cfg /etc/dpkg/dpkg.cfg.d/migrationd
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	libcurl4 libgnutls30 libjansson4 libjwt0 libmicrohttpd12 libpcre2-8-0 libsqlite3-0 libssl3 libsystemd0 libunistring2 libvirt0 libxml2 libyaml-0-2 \
	&& useradd --uid 8774 --user-group --no-create-home --home-dir /var/lib/migrationd --shell /usr/sbin/nologin migrationd \
	&& install -d -m 700 -o migrationd -g migrationd /var/lib/migrationd /run/migrationd \
	&& rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* /var/lib/dpkg/*-old /var/log/* /etc/*- \
		/var/lib/dpkg/info/*.symbols
COPY --from=build /tree /
LABEL org.opencontainers.image.title="migrationd" \
	org.opencontainers.image.description="Nova's API for migrating servers, in front of plain libvirt hosts" \
	org.opencontainers.image.licenses="Apache-2.0"
USER 8774:8774
VOLUME /var/lib/migrationd
EXPOSE 8774
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/lib/migrationd/healthy"]
ENTRYPOINT ["/usr/lib/migrationd/entrypoint"]
CMD ["serve"]
