# libmultifrost, shared and static, made of the rooms' objects.
get_property(MF_ROOMS GLOBAL PROPERTY MF_ROOMS)
mf_objects(MF_OBJECTS ${MF_ROOMS})

set(MF_DEPENDENCIES PkgConfig::ZMQ PkgConfig::MSGPACK PkgConfig::MICROHTTPD PkgConfig::CJSON
    PkgConfig::ZLIB Threads::Threads m)
if(MULTIFROST_PROTOBUF)
    list(APPEND MF_DEPENDENCIES PkgConfig::PROTOBUF_C)
endif()
add_library(multifrost SHARED ${MF_OBJECTS})
add_library(multifrost_static STATIC ${MF_OBJECTS})
set_target_properties(multifrost PROPERTIES
    LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    LINK_DEPENDS "${PROJECT_SOURCE_DIR}/exports.map")
set_target_properties(multifrost_static PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME multifrost)
target_link_options(multifrost PRIVATE
    "LINKER:--version-script=${PROJECT_SOURCE_DIR}/exports.map" LINKER:--no-undefined)

foreach(library multifrost multifrost_static)
    target_link_libraries(${library} PRIVATE ${MF_DEPENDENCIES})
    target_compile_features(${library} PUBLIC c_std_11)
endforeach()
add_library(multifrost::multifrost ALIAS multifrost)
add_library(multifrost::multifrost_static ALIAS multifrost_static)

# Every public header has to compile alone.
set(MF_PUBLIC_HEADERS "${CMAKE_BINARY_DIR}/include/multifrost/version.h")
set(MF_HEADER_BASES "${CMAKE_BINARY_DIR}/include")
set(MF_ROOMS_TEXT "")
foreach(room IN LISTS MF_ROOMS)
    get_property(folder TARGET mf_${room} PROPERTY MF_FOLDER)
    get_property(used TARGET mf_${room} PROPERTY MF_USES)
    list(JOIN used " " used)
    string(APPEND MF_ROOMS_TEXT "${room} ${folder} ${used}\n")
    set(base "${PROJECT_SOURCE_DIR}/${folder}/include")
    if(EXISTS "${base}")
        file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${base}/*.h")
        list(APPEND MF_PUBLIC_HEADERS ${headers})
        list(APPEND MF_HEADER_BASES "${base}")
    endif()
endforeach()

# The umbrella header includes every public header except those of detail/.
set(MF_UMBRELLA "")
foreach(header IN LISTS MF_PUBLIC_HEADERS)
    string(REGEX REPLACE "^.*/include/" "" header "${header}")
    if(NOT header MATCHES "/detail/")
        list(APPEND MF_UMBRELLA "#include <${header}>\n")
    endif()
endforeach()
list(SORT MF_UMBRELLA)
list(JOIN MF_UMBRELLA "" MF_UMBRELLA)
set(umbrella "${CMAKE_BINARY_DIR}/include/multifrost/multifrost.h")
configure_file("${PROJECT_SOURCE_DIR}/cmake/multifrost.h.in" "${umbrella}" @ONLY)
list(APPEND MF_PUBLIC_HEADERS "${umbrella}")

# For the tests and lint: the name of each room, its folder, and the rooms that it uses.
file(WRITE "${CMAKE_BINARY_DIR}/rooms.txt" "${MF_ROOMS_TEXT}")
# C, also where a peer of the benchmarks enables C++.
set_source_files_properties(${MF_PUBLIC_HEADERS} PROPERTIES LANGUAGE C)
foreach(library multifrost multifrost_static)
    target_sources(${library} PUBLIC FILE_SET HEADERS BASE_DIRS ${MF_HEADER_BASES}
        FILES ${MF_PUBLIC_HEADERS})
endforeach()
set_target_properties(multifrost PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)

# ---- Installation ----
# The static library is a component of its own, so that only its users need the libraries below it.
include(CMakePackageConfigHelpers)
set(MF_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/multifrost")
set(MF_PKGCONFIG_DIR "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(TARGETS multifrost EXPORT multifrost
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS multifrost_static EXPORT multifrost-static
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS multifrost-exec DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/multifrost)
foreach(export multifrost multifrost-static)
    install(EXPORT ${export} NAMESPACE multifrost:: DESTINATION ${MF_PACKAGE_DIR}
        FILE ${export}-targets.cmake)
endforeach()
set(MF_OPTIONAL_PACKAGES "")
if(MULTIFROST_PROTOBUF)
    set(MF_OPTIONAL_PACKAGES "\"PROTOBUF_C;${MF_PROTOBUF_C}\"")
endif()
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/multifrost-config.cmake.in"
    "${CMAKE_BINARY_DIR}/multifrost-config.cmake" INSTALL_DESTINATION ${MF_PACKAGE_DIR})
write_basic_package_version_file("${CMAKE_BINARY_DIR}/multifrost-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/multifrost-config.cmake"
    "${CMAKE_BINARY_DIR}/multifrost-config-version.cmake" DESTINATION ${MF_PACKAGE_DIR})

# Relative to the .pc file, so that an installed tree may be moved.
file(RELATIVE_PATH MF_PREFIX_FROM_PC "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
    "${CMAKE_INSTALL_PREFIX}")
set(MF_REQUIRES ${MF_ZMQ} ${MF_MSGPACK} ${MF_MICROHTTPD} ${MF_CJSON} ${MF_ZLIB})
if(MULTIFROST_PROTOBUF)
    list(APPEND MF_REQUIRES ${MF_PROTOBUF_C})
endif()
list(JOIN MF_REQUIRES " " MF_REQUIRES)
string(REPLACE ">=" " >= " MF_REQUIRES "${MF_REQUIRES}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/multifrost.pc.in" "${CMAKE_BINARY_DIR}/multifrost.pc"
    @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/multifrost.pc" DESTINATION ${MF_PKGCONFIG_DIR})
