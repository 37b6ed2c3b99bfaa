/* The series of a worker's process: what the system says of it, whether the worker answers or not.
 * It exists apart from series.c because reading /proc takes time: no lock is held meanwhile, so
 * that neither the engine nor the end of a parent waits for it. */
#include "base/figures.h"
#include "base/clock.h"
#include "core/observe/holding.h"
#include "core/observe/parts.h"
#include "metrics/metric_set.h"

/* A collection reads this many processes at most, those that were read longest ago, and begins with
 * no further one after this time. */
#define READ_MOST 64
#define READ_BUDGET_NS (20 * MFI_NS_PER_MS)
/* Collections that follow each other within this time share a reading. */
#define SHARED_NS (10 * MFI_NS_PER_MS)

/* A process to read, and what was read. It names no target: the target may end meanwhile. */
typedef struct job {
    uint64_t serial, read_ns;
    int64_t pid;
    uint64_t start_ticks;
    bool done, found;
    mfi_figures figures;
} job;

typedef struct job_list {
    job jobs[READ_MOST];
    size_t count;
} job_list;

/* ---- The account of one process ---- */

static void drop_gauges_locked(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    mfi_account *account = &target->account;
    mfi_drop(families->worker_resident, &account->resident);
    mfi_drop(families->worker_fds, &account->fds);
    mfi_drop(families->worker_threads, &account->threads);
    mfi_drop(families->worker_started, &account->started);
}

static void show(mfi_target *target, mf_family *family, mf_gauge **gauge, double value)
{
    const char *names[] = {target->name, target->worker};
    if (*gauge == NULL) {
        *gauge = mfi_hold(target, family, names);
    }
    mfi_show(*gauge, value);
}

/* Adds what has come since the last time. A sum may fall, when threads have ended. */
static void count(const mfi_target *target, mf_family *family, uint64_t now, uint64_t *counted)
{
    const char *names[] = {target->label, target->worker_label};
    mf_counter_add(mf_family_counter(family, names), now > *counted ? now - *counted : 0);
    *counted = now;
}

static void open_account(mfi_target *target, int64_t pid, uint64_t start_ticks, uint64_t used_ns,
                         bool is_ours)
{
    mfi_account *account = &target->account;
    if (!target->measured || target->is_server) {
        return;
    }
    mfi_mutex_lock(&target->mutex);
    drop_gauges_locked(target);
    account->pid = pid;
    account->start_ticks = start_ticks;
    account->serial =
        atomic_fetch_add_explicit(&target->observer->accounts, 1, memory_order_relaxed) + 1;
    account->cpu_ns = used_ns;
    account->wait_ns = 0;
    account->counts_wait = is_ours;
    account->read_ns = 0;
    mfi_mutex_unlock(&target->mutex);
}

/* all_ns: what the process has used in its life; 0 if that is not known. */
static void close_account(mfi_target *target, uint64_t all_ns)
{
    mfi_account *account = &target->account;
    if (!target->measured || target->is_server) {
        return;
    }
    mfi_mutex_lock(&target->mutex);
    if (account->pid != 0 && all_ns > account->cpu_ns) {
        count(target, target->observer->families.worker_cpu, all_ns, &account->cpu_ns);
    }
    account->pid = 0;
    account->serial = 0;
    drop_gauges_locked(target);
    mfi_mutex_unlock(&target->mutex);
}

void mfi_figures_process(mfi_target *target, const mfi_process_event *event)
{
    if (event->what == MFI_PROCESS_SPAWNED) {
        open_account(target, event->pid, event->start_ticks, 0, true);
    } else if (event->what == MFI_PROCESS_EXITED) {
        close_account(target, event->used_ns);
    }
}

/* A service has a life of its own: what it used before it was found is not counted. */
void mfi_figures_service(mfi_target *target, const mfi_service_event *event)
{
    if (event->what == MFI_SERVICE_FOUND && event->start_ticks != 0) {
        open_account(target, event->pid, event->start_ticks, event->used_ns, false);
    } else if (event->what == MFI_SERVICE_FOUND || event->what == MFI_SERVICE_LOST) {
        close_account(target, 0);
    }
}

void mfi_figures_end(mfi_target *target)
{
    close_account(target, 0);
}

/* ---- Collection ---- */

/* Keeps the jobs in order, those that were read longest ago first. */
static void add_job(job_list *list, const mfi_account *account)
{
    size_t at = list->count < READ_MOST ? list->count : READ_MOST - 1;
    if (list->count == READ_MOST && list->jobs[at].read_ns <= account->read_ns) {
        return;
    }
    for (; at > 0 && list->jobs[at - 1].read_ns > account->read_ns; at--) {
        list->jobs[at] = list->jobs[at - 1];
    }
    list->jobs[at] = (job){.serial = account->serial,
                           .read_ns = account->read_ns,
                           .pid = account->pid,
                           .start_ticks = account->start_ticks};
    list->count += list->count < READ_MOST ? 1 : 0;
}

static void list_jobs(mfi_observer *observer, uint64_t now, job_list *list)
{
    list->count = 0;
    mfi_mutex_lock(&observer->mutex);
    for (mfi_target *target = observer->targets; target != NULL; target = target->next) {
        mfi_mutex_lock(&target->mutex);
        const mfi_account *account = &target->account;
        bool is_fresh = account->read_ns != 0 && now - account->read_ns < SHARED_NS;
        if (account->pid != 0 && account->start_ticks != 0 && !is_fresh) {
            add_job(list, account);
        }
        mfi_mutex_unlock(&target->mutex);
    }
    mfi_mutex_unlock(&observer->mutex);
}

static void read_jobs(job_list *list, uint64_t deadline_ns)
{
    for (size_t i = 0; i < list->count && (i == 0 || mfi_monotonic_ns() < deadline_ns); i++) {
        job *at = &list->jobs[i];
        at->found = mfi_figures_read(at->pid, at->start_ticks, deadline_ns, &at->figures);
        at->read_ns = mfi_monotonic_ns();
        at->done = true;
    }
}

static void show_gauges_locked(mfi_target *target, const mfi_figures *figures)
{
    const mfi_families *families = &target->observer->families;
    mfi_account *account = &target->account;
    show(target, families->worker_resident, &account->resident, (double)figures->resident_bytes);
    show(target, families->worker_threads, &account->threads, (double)figures->threads);
    if (account->started == NULL) { /* once, so that a step of the clock is no other start */
        show(target, families->worker_started, &account->started,
             mfi_figures_start_seconds(figures->start_ticks));
    }
    if (figures->has_fds) {
        show(target, families->worker_fds, &account->fds, (double)figures->open_fds);
    } else {
        mfi_drop(families->worker_fds, &account->fds);
    }
}

static void apply_locked(mfi_target *target, const job *from)
{
    const mfi_families *families = &target->observer->families;
    mfi_account *account = &target->account;
    const mfi_figures *figures = &from->figures;
    account->read_ns = from->read_ns;
    if (!from->found) { /* hidden, or ended and not reported yet */
        drop_gauges_locked(target);
        return;
    }
    if (figures->cpu_ns >= account->cpu_ns) {
        count(target, families->worker_cpu, figures->cpu_ns, &account->cpu_ns);
    }
    if (figures->has_wait && account->counts_wait) {
        count(target, families->worker_wait, figures->wait_ns, &account->wait_ns);
    } else if (figures->has_wait) {
        account->wait_ns = figures->wait_ns;
        account->counts_wait = true;
    }
    show_gauges_locked(target, figures);
}

static const job *find_job(const job_list *list, uint64_t serial)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->jobs[i].done && list->jobs[i].serial == serial) {
            return &list->jobs[i];
        }
    }
    return NULL;
}

/* A target that has gone, or whose process has, is not found any more. */
static void apply_jobs(mfi_observer *observer, const job_list *list)
{
    mfi_mutex_lock(&observer->mutex);
    for (mfi_target *target = observer->targets; target != NULL; target = target->next) {
        mfi_mutex_lock(&target->mutex);
        const job *found = target->account.pid != 0 ? find_job(list, target->account.serial) : NULL;
        if (found != NULL) {
            apply_locked(target, found);
        }
        mfi_mutex_unlock(&target->mutex);
    }
    mfi_mutex_unlock(&observer->mutex);
}

void mfi_figures_collect(void *user_data)
{
    mfi_observer *observer = user_data;
    job_list list;
    uint64_t now = mfi_monotonic_ns();
    list_jobs(observer, now, &list);
    if (list.count > 0) {
        read_jobs(&list, now + READ_BUDGET_NS);
        apply_jobs(observer, &list);
    }
}
