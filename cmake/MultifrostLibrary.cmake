# libmultifrost, shared and static, out of the rooms' objects.
set(MF_ROOMS base metrics logging wire core server http)
set(MF_OBJECTS "")
foreach(room IN LISTS MF_ROOMS)
    list(APPEND MF_OBJECTS $<TARGET_OBJECTS:mf_${room}>)
endforeach()

set(MF_DEPENDENCIES PkgConfig::ZMQ PkgConfig::MSGPACK PkgConfig::MICROHTTPD PkgConfig::CJSON
    Threads::Threads m)
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
set(MF_HEADER_FOLDERS base metrics logging core core/server http)
set(MF_PUBLIC_HEADERS "${CMAKE_BINARY_DIR}/include/multifrost/version.h")
set(MF_HEADER_BASES "${CMAKE_BINARY_DIR}/include")
foreach(folder IN LISTS MF_HEADER_FOLDERS)
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/include/*.h")
    list(APPEND MF_PUBLIC_HEADERS ${headers})
    list(APPEND MF_HEADER_BASES "${PROJECT_SOURCE_DIR}/${folder}/include")
endforeach()
# As C, also where a peer of the benchmarks brings C++.
set_source_files_properties(${MF_PUBLIC_HEADERS} PROPERTIES LANGUAGE C)
foreach(library multifrost multifrost_static)
    target_sources(${library} PUBLIC FILE_SET HEADERS BASE_DIRS ${MF_HEADER_BASES}
        FILES ${MF_PUBLIC_HEADERS})
endforeach()
set_target_properties(multifrost PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)

# ---- Installation ----
# The static library has an export of its own: only who asks for it needs what it is built on.
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
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/multifrost-config.cmake.in"
    "${CMAKE_BINARY_DIR}/multifrost-config.cmake" INSTALL_DESTINATION ${MF_PACKAGE_DIR})
write_basic_package_version_file("${CMAKE_BINARY_DIR}/multifrost-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/multifrost-config.cmake"
    "${CMAKE_BINARY_DIR}/multifrost-config-version.cmake" DESTINATION ${MF_PACKAGE_DIR})

# Seen from the .pc file, so that an installed tree may be moved.
file(RELATIVE_PATH MF_PREFIX_FROM_PC "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
    "${CMAKE_INSTALL_PREFIX}")
string(REPLACE ">=" " >= " MF_REQUIRES "${MF_ZMQ} ${MF_MSGPACK} ${MF_MICROHTTPD} ${MF_CJSON}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/multifrost.pc.in" "${CMAKE_BINARY_DIR}/multifrost.pc"
    @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/multifrost.pc" DESTINATION ${MF_PKGCONFIG_DIR})
