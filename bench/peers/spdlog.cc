/* The peer of bench/log.c in C++: spdlog's asynchronous logger, which writes the same line. */
#include "bench/peers/spdlog.h"

#include <atomic>
#include <memory>
#include <thread>

#include <sys/syscall.h>
#include <unistd.h>

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/file_helper.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

namespace
{

/* spdlog's own file sink does not count the records that it has written. */
class counting_sink : public spdlog::sinks::base_sink<std::mutex>
{
  public:
    explicit counting_sink(const char *path)
    {
        file_.open(path);
    }
    std::atomic<uint64_t> written{0};

  protected:
    void sink_it_(const spdlog::details::log_msg &message) override
    {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        file_.write(line);
        written.fetch_add(1, std::memory_order_release);
    }
    void flush_() override
    {
        file_.flush();
    }

  private:
    spdlog::details::file_helper file_;
};

} // namespace

struct bench_spdlog {
    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<counting_sink> sink;
    std::shared_ptr<spdlog::async_logger> logger;
    uint64_t records = 0;
    int pid = 0;
    long tid = 0;
};

bench_spdlog *bench_spdlog_make(const char *path, size_t queue)
{
    auto *log = new bench_spdlog;
    log->pool = std::make_shared<spdlog::details::thread_pool>(queue, 1);
    log->sink = std::make_shared<counting_sink>(path);
    log->logger = std::make_shared<spdlog::async_logger>("bench", log->sink, log->pool,
                                                         spdlog::async_overflow_policy::block);
    log->logger->set_pattern("{\"timestamp\":\"%Y-%m-%dT%H:%M:%S.%fZ\",\"level\":\"%l\",%v}",
                             spdlog::pattern_time_type::utc);
    log->pid = static_cast<int>(getpid());
    log->tid = syscall(SYS_gettid);
    return log;
}

void bench_spdlog_record(bench_spdlog *log, const mfi_client_span *span)
{
    const mf_context &ids = span->context;
    log->records++;
    log->logger->info(
        "\"severity_number\":9,\"event\":\"request_complete\",\"message\":\"Completed {}\","
        "\"seq\":{},\"service\":\"bench\",\"instance\":\"bench-1\",\"role\":\"parent\","
        "\"pid\":{},\"tid\":{},\"target\":\"math\",\"worker\":\"math-0\","
        "\"correlation_id\":\"{}\",\"trace_id\":\"{}\",\"span_id\":\"{}\",\"request_id\":\"{}\","
        "\"trace_flags\":\"{:02x}\",\"function\":\"{}\",\"namespace\":\"{}\",\"status\":\"ok\","
        "\"success\":true,\"attempt\":{},\"deadline_ms\":{},\"duration_ms\":{:.6f},"
        "\"phases\":{{\"send_wait\":{:.6f},\"wire\":{:.6f},\"peer_queue\":{:.6f},"
        "\"handler\":{:.6f},\"receive_wait\":{:.6f}}},\"request_bytes\":{},\"response_bytes\":{}",
        span->function_name, log->records, log->pid, log->tid, ids.correlation_id, ids.trace_id,
        ids.span_id, ids.request_id, ids.trace_flags, span->function_name, span->namespace_name,
        span->attempt, span->deadline_ms, (span->end_ns - span->start_ns) / 1e6,
        (span->sent_ns - span->start_ns) / 1e6,
        (span->received_ns - span->sent_ns - span->server_queue_ns - span->server_handler_ns) / 1e6,
        span->server_queue_ns / 1e6, span->server_handler_ns / 1e6,
        (span->end_ns - span->received_ns) / 1e6, span->request_bytes, span->response_bytes);
}

void bench_spdlog_drain(bench_spdlog *log)
{
    while (log->sink->written.load(std::memory_order_acquire) < log->records) {
        std::this_thread::yield();
    }
}

void bench_spdlog_end(bench_spdlog *log)
{
    delete log;
}
