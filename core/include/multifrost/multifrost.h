/**
 * @file multifrost.h
 * The umbrella: everything that a program needs.
 */
#ifndef MULTIFROST_H
#define MULTIFROST_H

#include <multifrost/call.h>
#include <multifrost/child.h>
#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/ext.h>
#include <multifrost/http.h>
#include <multifrost/json.h>
#include <multifrost/log.h>
#include <multifrost/metrics.h>
#include <multifrost/parent.h>
#include <multifrost/pool.h>
#include <multifrost/probe.h>
#include <multifrost/registry.h>
#include <multifrost/retry.h>
#include <multifrost/runtime.h>
#include <multifrost/transport.h>
#include <multifrost/value.h>
#include <multifrost/version.h>

#endif
