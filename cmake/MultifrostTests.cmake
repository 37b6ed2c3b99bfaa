# Helpers for tests. Labels: unit, integration, interop, long. Every test has a timeout.

# The environment of every test. A sanitizer writes its findings below reports/, where `./dev test`
# reads them, because nobody may read the output of a test's worker.
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/reports")
set(MF_REPORT_PATH "log_path=${CMAKE_BINARY_DIR}/reports/report")
set(MF_TEST_ENVIRONMENT
    "MF_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
    "MF_BUILD_DIR=${CMAKE_BINARY_DIR}"
    "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp:${MF_REPORT_PATH}"
    "ASAN_OPTIONS=${MF_REPORT_PATH}"
    "UBSAN_OPTIONS=print_stacktrace=1:${MF_REPORT_PATH}")
# The sanitizers of this build; empty without any.
string(REGEX MATCHALL "-fsanitize=[a-z,]+" MF_SANITIZERS "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_DEBUG}")

# mf_unit_test(room name [ROOMS ...] [SOURCES ...] [LIBS ...] [TIMEOUT s] [ALLOC]):
# tests/unit/<room>/test_<name>.c with the objects of the room, of ROOMS, and of all that they are built
# on. The test sees what these rooms see. SOURCES stand beside it. ALLOC lets it make allocations fail
# (mf_alloc.h).
function(mf_unit_test room name)
    cmake_parse_arguments(TEST "ALLOC" "TIMEOUT" "ROOMS;SOURCES;LIBS" ${ARGN})
    set(target "test_${room}_${name}")
    add_executable(${target} "test_${name}.c" ${TEST_SOURCES})
    mf_link_rooms(${target} ${room} ${TEST_ROOMS})
    target_link_libraries(${target} PRIVATE mf_test_support ${TEST_LIBS})
    if(TEST_ALLOC)
        mf_count_allocations(${target})
    endif()
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 60)
    endif()
    add_test(NAME unit.${room}.${name} COMMAND ${target})
    set_tests_properties(unit.${room}.${name} PROPERTIES LABELS unit TIMEOUT ${TEST_TIMEOUT}
        ENVIRONMENT
        "${MF_TEST_ENVIRONMENT};MULTIFROST_EXEC=${CMAKE_BINARY_DIR}/core/process/multifrost-exec")
endfunction()

# mf_count_allocations(target): its allocations are counted, and can be made to fail (mf_alloc.h).
function(mf_count_allocations target)
    target_sources(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests/support/mf_alloc.c")
    target_link_options(${target} PRIVATE
        -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=aligned_alloc)
endfunction()

# mf_integration_test(name [TIMEOUT s]): tests/integration/test_<name>.c on the public library.
function(mf_integration_test name)
    cmake_parse_arguments(TEST "" "TIMEOUT" "" ${ARGN})
    set(target "test_integration_${name}")
    add_executable(${target} "${PROJECT_SOURCE_DIR}/tests/integration/test_${name}.c"
        "${PROJECT_SOURCE_DIR}/tests/integration/pages.c"
        "${PROJECT_SOURCE_DIR}/tests/integration/parents.c")
    target_link_libraries(${target} PRIVATE mf_warnings mf_test_support multifrost::multifrost
        Threads::Threads m)
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 120)
    endif()
    add_test(NAME integration.${name} COMMAND ${target})
    set_tests_properties(integration.${name} PROPERTIES LABELS "integration;native" TIMEOUT ${TEST_TIMEOUT}
        ENVIRONMENT "${MF_TEST_ENVIRONMENT}")
endfunction()

# The thread sanitizer does not see libzmq close a descriptor that the engine watched. So the next
# owner of that number, who closes it, seems to share it with the engine.
file(READ "${PROJECT_SOURCE_DIR}/tests/support/tsan.supp" MF_TSAN_SUPPRESSIONS)
file(WRITE "${CMAKE_BINARY_DIR}/tsan-libzmq.supp" "${MF_TSAN_SUPPRESSIONS}race:interceptor_close\n")

# mf_libzmq_test(test target): runs a test a second time, with libzmq as the transport.
function(mf_libzmq_test test target)
    add_test(NAME ${test}.libzmq COMMAND ${target})
    foreach(property LABELS TIMEOUT ENVIRONMENT)
        get_property(value TEST ${test} PROPERTY ${property})
        set_property(TEST ${test}.libzmq PROPERTY ${property} "${value}")
    endforeach()
    set_property(TEST ${test}.libzmq APPEND PROPERTY ENVIRONMENT "COMLINK_TRANSPORT=libzmq"
        "TSAN_OPTIONS=suppressions=${CMAKE_BINARY_DIR}/tsan-libzmq.supp:${MF_REPORT_PATH}")
endfunction()

# mf_script_test(name LABEL label COMMAND ... [ENV ...] [TIMEOUT s]): a Python program.
function(mf_script_test name)
    cmake_parse_arguments(TEST "" "LABEL;TIMEOUT" "COMMAND;ENV" ${ARGN})
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 120)
    endif()
    add_test(NAME ${TEST_LABEL}.${name} COMMAND /usr/bin/python3 ${TEST_COMMAND})
    set_tests_properties(${TEST_LABEL}.${name} PROPERTIES LABELS ${TEST_LABEL}
        TIMEOUT ${TEST_TIMEOUT} ENVIRONMENT "${MF_TEST_ENVIRONMENT};${TEST_ENV}")
endfunction()

# mf_count_test(name): an integration test on the static library that counts its allocations.
function(mf_count_test name)
    set(target "test_integration_${name}")
    add_executable(${target} "${PROJECT_SOURCE_DIR}/tests/integration/test_${name}.c")
    target_link_libraries(${target} PRIVATE mf_warnings mf_test_support multifrost::multifrost_static
        Threads::Threads m)
    mf_count_allocations(${target})
    add_test(NAME integration.${name} COMMAND ${target})
    set_tests_properties(integration.${name} PROPERTIES LABELS "integration" TIMEOUT 60
        ENVIRONMENT "${MF_TEST_ENVIRONMENT}")
endfunction()

# mf_fuzz_test(name room): tests/fuzz/<name>/fuzz_<name>.c, linked with the objects of the room and
# a plain driver, runs on the corpus that run_fuzz_<name>.py makes.
function(mf_fuzz_test name room)
    set(target "fuzz_${name}")
    set(folder "${PROJECT_SOURCE_DIR}/tests/fuzz")
    add_executable(${target} "${folder}/${name}/fuzz_${name}.c" "${folder}/driver.c")
    mf_link_rooms(${target} ${room})
    mf_script_test(${name} LABEL fuzz TIMEOUT 300
        COMMAND "${folder}/${name}/run_fuzz_${name}.py" "$<TARGET_FILE:${target}>")
endfunction()
