/* A service with a metric, a health check and a log event of its own, beside those of the library.
 * Serves until the end of its standard input. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

static _Atomic(int) stock = 2;

static void check_stock(mf_health_result *result, void *user_data)
{
    (void)user_data;
    result->has_number = true;
    result->observed_number = stock;
    if (stock == 0) {
        result->status = MF_HEALTH_WARN;
        (void)snprintf(result->output, sizeof result->output, "nothing left to sell");
    }
}

static mf_status set_up(mf_runtime *runtime, mf_counter **ret_sold, mf_error *error)
{
    static const char *const labels[] = {"item"};
    mf_family *family = NULL;
    mf_metric_options metric = MF_METRIC_OPTIONS_INIT;
    mf_health_check check = MF_HEALTH_CHECK_INIT;
    metric.type = MF_METRIC_COUNTER;
    metric.name = "shop_items_sold_total";
    metric.help = "Items sold";
    metric.label_names = labels;
    metric.label_count = 1;
    mf_status status = mf_metrics_add(mf_runtime_metrics(runtime), &metric, &family, error);
    if (status != MF_OK) {
        return status;
    }
    *ret_sold = mf_family_counter(family, (const char *const[]){"book"});
    check.component = "shop";
    check.measurement = "stock";
    check.observed_unit = "items";
    check.check = check_stock;
    status = mf_log_add_fd(mf_runtime_logger(runtime), 2, MF_LOG_HUMAN, error);
    return status == MF_OK ? mf_runtime_add_health_check(runtime, &check, error) : status;
}

static void sell(mf_runtime *runtime, mf_counter *sold)
{
    stock--;
    mf_counter_add(sold, 1);
    MF_LOG(mf_runtime_logger(runtime), MF_LOG_INFO, "shop.sold", "Sold a book",
           MF_FIELD("left", (int)stock));
}

int main(void)
{
    mf_runtime *runtime = NULL;
    mf_http *http = NULL;
    mf_counter *sold = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    options.port = MF_HTTP_PORT_ANY;
    mf_status status = mf_runtime_create(&runtime, NULL, &error);
    if (status == MF_OK) {
        status = set_up(runtime, &sold, &error);
    }
    if (status == MF_OK) {
        sell(runtime, sold);
        sell(runtime, sold);
        status = mf_http_create(&http, mf_runtime_probe(runtime), &options, &error);
    }
    if (status == MF_OK) {
        printf("http://127.0.0.1:%u/\n", (unsigned)mf_http_port(http));
        (void)fflush(stdout);
        while (getchar() != EOF) {
        }
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_http_destroy(http);
    mf_runtime_destroy(runtime);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
