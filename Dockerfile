# Pinned by tag. Before a release, add the digest of the tag (python:3.13-slim@sha256:...) in both places.
FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src

# The dependencies first: they change less often than the project, and their layer is then reused.
COPY requirements.lock ./
# What debuggers would read of compiled modules stays behind; bundled libraries (*.libs) are left as they came.
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends binutils >/dev/null \
 && python -m venv /opt/backpain-cds \
 && /opt/backpain-cds/bin/python -m pip install --only-binary :all: --require-hashes --requirement requirements.lock \
 && find /opt/backpain-cds -name '*.so' -not -path '*.libs/*' -exec strip --strip-debug {} +

# The build backend, from a lock of its own, into an environment that stays behind.
COPY deploy/build.lock deploy/build.lock
RUN python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --only-binary :all: --require-hashes --requirement deploy/build.lock
COPY . .
# Compiled here and never at run time, but for what the service does not import: other releases of FHIR, syntax colors.
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/backpain-cds/bin/python -m pip install --no-deps /dist/*.whl \
 && /opt/backpain-cds/bin/python -m pip uninstall --yes pip \
 && find /opt/backpain-cds -name __pycache__ -prune -exec rm -r {} + \
 && /opt/backpain-cds/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    -x '/pygments/lexers/|/fhir/resources/(STU3/|[a-z0-9]+[.]py)' /opt/backpain-cds/lib \
 && install -D -m 0644 deploy/sbom.py /opt/backpain-cds/share/sbom.py


FROM python:3.13-slim

LABEL org.opencontainers.image.title="backpain-cds" \
      org.opencontainers.image.description="CDS Hooks service: red flags and spine-surgery referral in back pain" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"

# The root file system can be read-only, with a tmpfs on /tmp and a volume on /var/lib/backpain-cds.
ENV PATH=/opt/backpain-cds/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/backpain-cds /opt/backpain-cds
# What is in this image, from what is installed in it; building it stops when pip and dpkg list anything else.
RUN install -d -m 0700 -o 65532 -g 65532 /var/lib/backpain-cds \
 && cd /opt/backpain-cds/share \
 && python sbom.py > sbom.cdx.json \
 && pip="$(python -c 'import sys; print(sys.base_prefix)')/bin/python3 -m pip --disable-pip-version-check" \
 && { $pip list --format freeze; $pip --python /opt/backpain-cds/bin/python list --format freeze; \
      dpkg-query -W -f '${db:Status-Abbrev} ${Package}==${Version}\n' | sed -n 's/^ii *//p'; } \
    | python sbom.py --compare sbom.cdx.json
WORKDIR /tmp
USER 65532:65532
EXPOSE 8080

HEALTHCHECK --interval=30s --timeout=3s --start-period=15s CMD ["python", "-c", "\
import sys, urllib.request as r; \
open_ = r.build_opener(r.ProxyHandler({})).open; \
sys.exit(open_('http://127.0.0.1:8080/livez', timeout=2).status != 200)"]

ENTRYPOINT ["backpain-cds"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
