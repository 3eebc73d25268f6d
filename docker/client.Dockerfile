# A client of the service: OpenStack's own command, curl, and the tests that docker/client/run is.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY docker/client/dpkg.cfg /etc/dpkg/dpkg.cfg.d/client
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl python3-openstackclient \
	&& rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY docker/client/run /usr/bin/client-tests
USER 65534:65534
ENV HOME=/tmp LANG=C.UTF-8 PYTHONPYCACHEPREFIX=/tmp/python
ENTRYPOINT ["client-tests"]
