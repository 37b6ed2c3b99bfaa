/* One request of a connection and its answer: what libmicrohttpd calls while it reads the one, and
 * how the other is chosen, made and sent. */
#ifndef MFI_HTTP_EXCHANGE_H
#define MFI_HTTP_EXCHANGE_H

#include <microhttpd.h>

#include <multifrost/metrics.h>
#include <multifrost/probe.h>

#include "http/acceptor.h"
#include "http/collector.h"
#include "metrics/evaluation.h"

/* What all exchanges of an endpoint share. */
typedef struct mfi_exchanges {
    const mf_probe *probe;
    mfi_health *health; /* shared by the endpoints of the probe */
    mfi_acceptor acceptor;
    mfi_collector collector;
    bool is_loopback;         /* a Host header is checked */
    const char *const *hosts; /* NULL-terminated: names that are taken there; or NULL */
    int warn_code;            /* of /health when a check warns */
    bool probes_only;         /* no other routes but those of the probes and /healthz */
    mf_family *requests, *scrape_duration, *scrape_size, *scrape_partial;
} mfi_exchanges;

/* The callbacks of libmicrohttpd; user_data is a mfi_exchanges. */
void *mfi_exchange_begin(void *user_data, const char *target, struct MHD_Connection *connection);
enum MHD_Result mfi_exchange_go_on(void *user_data, struct MHD_Connection *connection,
                                   const char *path, const char *method, const char *version,
                                   const char *upload, size_t *upload_size, void **state);
void mfi_exchange_end(void *user_data, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code);
void mfi_exchange_connection(void *user_data, struct MHD_Connection *connection, void **state,
                             enum MHD_ConnectionNotificationCode what);

/* Makes the page of an exchange, on the collector's thread. */
void mfi_exchange_make(mfi_list_node *job, mfi_scrapes *scrapes);

#endif
