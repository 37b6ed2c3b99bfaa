/* The client in gRPC C++: the blocking stub makes single calls; for many open calls a completion
 * queue starts a new call for each one that ended. One channel, so one TCP connection. */
#include "bench/peer.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "add.grpc.pb.h"

namespace
{

struct client {
    bench_process server = {};
    std::unique_ptr<bench::Adder::Stub> stub;
    bench::AddRequest request;
};

/* A context serves one call, so each call gets a new one; all other parts are reused. */
struct open_call {
    std::optional<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<bench::AddReply>> reader;
    bench::AddReply reply;
    grpc::Status status;
};

void check(const grpc::Status &status, const bench::AddReply &reply)
{
    if (!status.ok() || reply.sum() != 3) {
        bench_die("grpc: add(1, 2) failed: %s", status.error_message().c_str());
    }
}

bench_latency sync(void *self, unsigned calls)
{
    auto *peer = static_cast<client *>(self);
    std::vector<uint64_t> samples(calls);
    bench::AddReply reply;
    for (uint64_t &sample : samples) {
        uint64_t start = bench_now_ns();
        grpc::ClientContext context;
        grpc::Status status = peer->stub->Add(&context, peer->request, &reply);
        sample = bench_now_ns() - start;
        check(status, reply);
    }
    return bench_summarise(samples.data(), samples.size());
}

double pipelined(void *self, unsigned in_flight, unsigned calls)
{
    auto *peer = static_cast<client *>(self);
    std::vector<open_call> open(std::min(in_flight, calls));
    grpc::CompletionQueue queue;
    unsigned started = 0;
    auto start_call = [&](open_call *call) {
        call->context.emplace();
        call->reader = peer->stub->AsyncAdd(&*call->context, peer->request, &queue);
        call->reader->Finish(&call->reply, &call->status, call);
        started++;
    };
    uint64_t start = bench_now_ns();
    for (open_call &call : open) {
        start_call(&call);
    }
    for (unsigned ended = 0; ended < calls; ended++) {
        void *tag = nullptr;
        bool ok = false;
        if (!queue.Next(&tag, &ok) || !ok) {
            bench_die("grpc: the completion queue ended early");
        }
        auto *call = static_cast<open_call *>(tag);
        check(call->status, call->reply);
        if (started < calls) {
            start_call(call);
        }
    }
    double seconds = static_cast<double>(bench_now_ns() - start) / 1e9;
    queue.Shutdown();
    return calls / seconds;
}

void stop(void *self)
{
    auto *peer = static_cast<client *>(self);
    bench_process_end(&peer->server);
    delete peer;
}

} // namespace

extern "C" bench_peer bench_peer_grpc(void)
{
    auto *peer = new client;
    char path[4096];
    char target[64];
    bench_sibling("bench_grpc_server", path, sizeof path);
    const char *words[] = {path, nullptr};
    if (!bench_process_start(&peer->server, words, target, sizeof target)) {
        bench_die("grpc: %s does not start", path);
    }
    auto channel = grpc::CreateChannel(target, grpc::InsecureChannelCredentials());
    peer->stub = bench::Adder::NewStub(channel);
    peer->request.set_a(1);
    peer->request.set_b(2);
    return {"grpc", peer, sync, pipelined, stop};
}
