/**
 * @file http.h
 * The embedded endpoint: /metrics, health probes and circuits over HTTP/1.1.
 */
#ifndef MULTIFROST_HTTP_H
#define MULTIFROST_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/probe.h>

MF_EXTERN_C_BEGIN

typedef struct mf_http mf_http; /**< A running endpoint. Thread-safe. */

#define MF_HTTP_PORT_DEFAULT 9464 /**< The usual port of OpenTelemetry's Prometheus exporters. */
#define MF_HTTP_PORT_ANY 0        /**< The system chooses; mf_http_port() returns the port. */

/** Options of an endpoint. Set by MF_HTTP_OPTIONS_INIT, which chooses port 9464; zero means the
 *  default in all other members. */
typedef struct mf_http_options {
    size_t struct_size;
    const char *bind_address;   /**< Numeric IPv4 or IPv6 address; default "127.0.0.1". Copied. */
    uint16_t port;              /**< MF_HTTP_PORT_ANY for an ephemeral port. */
    uint32_t max_connections;   /**< Default 64; 1 to 1024. */
    int64_t connection_age_ms;  /**< Default 10,000. A connection that waits this long for its
                                     client (for a request, for the rest of one, or until an answer
                                     is taken) is closed; an answer on an older connection says
                                     "Connection: close". */
    int64_t health_interval_ms; /**< Checks are evaluated this often; default 1,000. */
    const char *const *host_names; /**< NULL-terminated, at most 16: names, without a port, by which
                                     clients may address an endpoint on a loopback address. Default
                                     NULL: none. Copied. */
    /** Code of /health and /healthz while a check warns and none fails: 200, the default, or 429,
     *  which Consul takes for a warning. The other routes answer 200 then. */
    int32_t warn_code;
    /** The endpoint serves /livez, /readyz, /startupz and /healthz alone, so that it can be bound
     *  to an address that an orchestrator reaches while /metrics stays on another one. */
    bool probes_only;
} mf_http_options;
#ifdef __cplusplus
static inline mf_http_options mf_detail_http_options_init()
{
    mf_http_options options = MF_DETAIL_INIT(mf_http_options);
    options.port = MF_HTTP_PORT_DEFAULT;
    return options;
}
#define MF_HTTP_OPTIONS_INIT mf_detail_http_options_init()
#else
#define MF_HTTP_OPTIONS_INIT                                                                       \
    {                                                                                              \
        .struct_size = sizeof(mf_http_options), .port = MF_HTTP_PORT_DEFAULT                       \
    }
#endif

/**
 * Binds the address and serves until mf_http_destroy().
 *
 * Routes, GET, HEAD and OPTIONS: / /metrics /livez /readyz /startupz /healthz /health /circuits,
 * /circuits/<target> and /circuits/<worker>. The function evaluates health once before it returns,
 * unless another endpoint on the probe does already; later one thread does for all of them, at the
 * shortest of their intervals. A request only reads the last evaluation. When max_connections are
 * open, the one that has waited longest for its client is closed for a new one. A body of 1 KiB or
 * more is compressed for a client that takes gzip. On a loopback address a Host header must be an
 * address, localhost, a name without a dot or one of host_names (else 421), so that no web page of
 * a stranger reads the endpoint through a browser (DNS rebinding). A request with an absolute
 * target ("GET http://...") is served whatever it names: browsers send none to an origin.
 *
 * @param ret_http On MF_OK the endpoint; untouched on failure.
 * @param probe    Not NULL; see mf_runtime_probe(). Borrowed until mf_http_destroy().
 * @param options  NULL for defaults. Copied.
 * @param error    NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming the option; MF_ERR_ADDRESS_IN_USE naming the
 *         address and port; MF_ERR_SYSTEM; MF_ERR_NO_MEMORY. Several endpoints may serve one probe,
 *         at once or one after the other; they share their metrics.
 * @par Threads  Thread-safe.
 * @par Blocking For one evaluation of the health checks.
 */
MF_API MF_NODISCARD mf_status mf_http_create(mf_http **ret_http, const mf_probe *probe,
                                             const mf_http_options *options, mf_error *error);

/**
 * Closes every connection, ends the threads and frees the endpoint.
 *
 * @param http NULL is a no-op.
 * @par Threads  No other thread may use the endpoint any more.
 * @par Blocking Until running requests have ended (some milliseconds).
 */
MF_API void mf_http_destroy(mf_http *http);

/**
 * Returns the port that the endpoint listens on.
 *
 * @param http NULL gives 0.
 * @return The port, also if the system chose it.
 * @par Threads Thread-safe.
 */
MF_API uint16_t mf_http_port(const mf_http *http);

MF_EXTERN_C_END

#endif
