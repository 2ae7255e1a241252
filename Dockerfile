# One image for the driver, the workers and the dashboard, on the CPU:
#
#     docker build --build-arg TORCH_INDEX=URL --tag skipscope .
#
# URL is the index that the PyTorch site names for pip on a CPU ("Start locally"). Without it torch comes from PyPI, with
# CUDA: several GB more, and it runs on the CPU all the same.

FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0
WORKDIR /skipscope
COPY requirements.txt .
ARG TORCH_INDEX=""
RUN if [ -n "$TORCH_INDEX" ]; then \
      PIP_INDEX_URL="$TORCH_INDEX" pip install $(grep -E '^torch(vision)?==' requirements.txt); \
    fi \
    && pip install -r requirements.txt
COPY --from=build /wheels /wheels
RUN pip install --no-deps /wheels/*.whl \
    && useradd --home-dir /skipscope --uid 1000 skipscope \
    && install --directory --owner=skipscope /skipscope /sweeps
COPY configs configs
USER skipscope
VOLUME /sweeps
EXPOSE 8501
CMD ["skipscope", "--help"]
