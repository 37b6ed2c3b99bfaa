/* Makes CALLS calls of add(1, 2), one after the other or with IN_FLIGHT of them open, so that a
 * tool can count instructions or draw a flame graph: hot_path CALLS [IN_FLIGHT] */
#include <stdlib.h>

#include "bench/peer.h"

int main(int argc, char **argv)
{
    unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long in_flight = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    if (calls == 0 || in_flight == 0) {
        bench_die("usage: hot_path CALLS [IN_FLIGHT]");
    }
    bench_peer peer = bench_peer_multifrost();
    if (in_flight == 1) {
        (void)peer.sync(peer.self, (unsigned)calls);
    } else {
        (void)peer.pipelined(peer.self, (unsigned)in_flight, (unsigned)calls);
    }
    peer.stop(peer.self);
    return EXIT_SUCCESS;
}
