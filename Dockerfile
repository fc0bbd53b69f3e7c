# The service, for compose.yaml. Keys and projections live in /data, which must be a volume that is backed up.
FROM python:3.11-slim

WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY ledger ledger
COPY projections projections
COPY tools tools
COPY api api
RUN python -m pip install --no-cache-dir --constraint constraints.txt . \
    && useradd --create-home --uid 10001 continuity \
    && install -d -o continuity -m 0700 /data

USER continuity
WORKDIR /home/continuity
ENV CONTINUITY_DATA=/data
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["continuity"]
CMD ["serve", "--host", "0.0.0.0"]
