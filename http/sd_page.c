/* Makes the page /sd: what Prometheus's http_sd reads to find this endpoint. It exists so that one
 * address is enough to scrape a program under its own names. The registry holds ports of services
 * and no HTTP endpoints, so the list has one entry: the endpoint that answers. */
#include "http/json.h"
#include "http/pages.h"

#define LABEL_MAX 256 /* bytes of a label's value; the rest is left out */

static void add_label(mfi_json labels, const char *name, const char *value)
{
    char cut[LABEL_MAX + 1];
    if (value != NULL && value[0] != '\0') { /* Prometheus takes an empty label for none */
        (void)mfi_str_copy(cut, sizeof cut, value);
        mfi_json_text(labels, name, cut);
    }
}

void mfi_page_sd(const mfi_page_request *request, mfi_page *page)
{
    const mf_probe_info *info = &request->probe->info;
    bool failed = false;
    if (request->host == NULL) {
        mfi_page_error(page, 400,
                       "/sd names this endpoint as the Host header does, and there is "
                       "none");
        return;
    }
    mfi_json list = mfi_json_part((mfi_json){.failed = &failed}, cJSON_CreateArray());
    mfi_json group = mfi_json_entry(list);
    mfi_json_text_entry(mfi_json_array(group, "targets"), request->host);
    mfi_json labels = mfi_json_object(group, "labels");
    add_label(labels, "service", info->service);
    add_label(labels, "instance", info->instance);
    add_label(labels, "role", "program");
    mfi_json_print(list, page, "application/json");
    cJSON_Delete(list.item);
}
