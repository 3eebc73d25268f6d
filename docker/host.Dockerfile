# A libvirt host to move guests from and to, for tests: libvirtd, QEMU without KVM, and a guest of 512 bytes.
#
# libvirtd is an ordinary user's session daemon: it needs no privilege, no device, no systemd, and nothing of the machine that the
# container runs on. What it is told by its environment stands in docker/host/start.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS guest
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends binutils
COPY tests/lab/guest.S /guest/
RUN cd /guest && as --32 -o guest.o guest.S && ld -m elf_i386 -Ttext=0x7c00 --oformat binary -o guest.bin guest.o

FROM ${BASE}
COPY docker/host/dpkg.cfg /etc/dpkg/dpkg.cfg.d/libvirt-host
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu qemu-system-x86 qemu-utils \
	&& useradd --uid 16509 --user-group --no-create-home --home-dir /var/lib/host --shell /usr/sbin/nologin host \
	&& install -d -m 755 -o host -g host /var/lib/host /srv/shared /srv/private \
	&& rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=guest /guest/guest.bin /usr/share/libvirt-host/
COPY docker/host/start /usr/bin/libvirt-host
LABEL org.opencontainers.image.title="libvirt-host" \
	org.opencontainers.image.description="libvirtd and QEMU without KVM, with small guests: a host for tests" \
	org.opencontainers.image.licenses="Apache-2.0"
USER 16509:16509
VOLUME /srv/shared
EXPOSE 16509 49152-49215
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["test", "-e", "/var/lib/host/ready"]
ENTRYPOINT ["libvirt-host"]
