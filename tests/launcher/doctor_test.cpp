// Each check says what is wrong and what to do.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/doctor.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/process.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

TEST(Doctor, NamesDuplicateAndMissingGpus) {
  Machine machine;
  machine.gpus = 4;
  const auto check = [&](const std::string& visible) {
    machine.environment["CUDA_VISIBLE_DEVICES"] = visible;
    return check_gpus(machine);
  };
  EXPECT_EQ(check_gpus(machine).verdict, Verdict::kFine);
  EXPECT_NE(check("0,1,0").what.find("names 0 twice"), std::string::npos);
  EXPECT_EQ(check("0,1,2,3,4").verdict, Verdict::kBad);
  EXPECT_EQ(check("2").verdict, Verdict::kFine);
}

// -1 was called one of four, seven slices of a GPU too many.
TEST(Doctor, CountsMigSlicesAndKnowsThatMinusOneIsNone) {
  Machine machine;
  machine.gpus = 1;
  const auto check = [&](const std::string& visible) {
    machine.environment["CUDA_VISIBLE_DEVICES"] = visible;
    return check_gpus(machine);
  };
  EXPECT_EQ(check("MIG-a,MIG-b,MIG-c").verdict, Verdict::kFine);
  EXPECT_NE(check("MIG-a,MIG-b,MIG-c").what.find("3 visible"), std::string::npos);
  for (const char* none : {"-1", "", "NoDevFiles"}) {
    EXPECT_EQ(check(none).verdict, Verdict::kNote) << none;
    EXPECT_NE(check(none).what.find("none"), std::string::npos) << none;
  }
}

TEST(Doctor, FindsOneCoreBinding) {
  Machine machine;
  machine.cores = 1;
  EXPECT_EQ(check_binding(machine, 64).verdict, Verdict::kBad);
  EXPECT_EQ(check_binding(machine, 1).verdict, Verdict::kFine);
  machine.cores = 2;
  EXPECT_EQ(check_binding(machine, 64).verdict, Verdict::kFine);
}

TEST(Doctor, PointsToContainerBridges) {
  Machine machine;
  machine.interfaces = {"docker0", "eth0"};
  EXPECT_EQ(check_interfaces(machine).verdict, Verdict::kNote);
  machine.interfaces = {"eth0"};
  EXPECT_EQ(check_interfaces(machine).verdict, Verdict::kFine);
}

TEST(Doctor, TriesToLockAndLeavesNothing) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(check_locking(folder.path(), {}).verdict, Verdict::kFine);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(check_locking("/proc", {}).verdict, Verdict::kNote);
  EXPECT_EQ(check_locking("/proc", {{"HDF5_USE_FILE_LOCKING", "FALSE"}}).verdict, Verdict::kFine);
}

TEST(Doctor, ComparesFreeSpace) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(check_space(folder / "not/yet/there", 1).verdict, Verdict::kFine);
  EXPECT_EQ(check_space(folder.path(), 1e20).verdict, Verdict::kBad);
}

// The real launcher with scripts in place of mpirun and the worker.
class DoctorProgram : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy_file(fs::path(RESNEXT_BIN_DIR).parent_path() / "libexec/resnext_launcher_program",
                  folder_ / "resnext_launcher");
    script("resnext_worker", "echo 1.0");
  }
  void script(const std::string& name, const std::string& text) {
    test::write_text(folder_ / name, "#!/bin/sh\n" + text + "\n");
    fs::permissions(folder_ / name, fs::perms::owner_all);
  }
  // Its output goes to the file `told`.
  test::Words doctor(const std::string& options) {
    return {"sh", "-c",
            "PATH='" + folder_.path().string() + "':$PATH; cd '" + folder_.path().string() +
                "'; exec ./resnext_launcher doctor " + options + " >told"};
  }
  std::string told() const { return test::read_text(folder_ / "told"); }

  test::TemporaryFolder folder_;
};

// L23: where the network hangs, what was found before it stands there already.
TEST_F(DoctorProgram, TellsEachFindingBeforeTheNextCheckBegins) {
  script("mpirun",
         "[ \"$1\" = --version ] && echo mpirun 4 && exit\n"
         "touch started; while [ ! -e go ]; do sleep 0.02; done; echo all_reduce fine");
  test::Process process(doctor(""));
  ASSERT_TRUE(test::wait_until([&] { return fs::exists(folder_ / "started"); }, 30));
  for (const char* finding : {"MPI: mpirun 4", "worker: 1.0", "cores:", "HDF5:", "GiB free"}) {
    EXPECT_NE(told().find(finding), std::string::npos) << finding << "\n" << told();
  }
  EXPECT_EQ(told().find("all_reduce"), std::string::npos);
  test::write_text(folder_ / "go", "");
  EXPECT_EQ(process.wait(30).exit_code, 0);
  EXPECT_NE(told().find("ok   all_reduce fine"), std::string::npos) << told();
}

// mpirun runs the doctor of host b, which has another worker; there is no way to c.
TEST_F(DoctorProgram, LooksAtEachHostAndComparesThem) {
  script("mpirun",
         "[ \"$1\" = --version ] && echo mpirun 4 && exit\n"
         "case \"$*\" in\n"
         "  *--all-reduce*) case \"$*\" in *'--host a:2,b:2'*) echo all_reduce of four ;; esac ;;\n"
         "  *'--host a:1 '*'doctor --alone'*) echo 'ok   worker: 1.0' ;;\n"
         "  *'--host b:1 '*) echo 'ok   worker: 2.0'; echo 'note bridges' ;;\n"
         "esac");
  EXPECT_EQ(test::run(doctor("--hosts a:2,b:2"), 30).exit_code, 64);
  EXPECT_EQ(told(),
            "a: ok   worker: 1.0\nb: ok   worker: 2.0\n"
            "BAD  a and b have different versions; install the same on all hosts\n"
            "b: note bridges\nok   all_reduce of four\n");
  EXPECT_EQ(test::run(doctor("--hosts c:1"), 30).exit_code, 64);
  EXPECT_NE(told().find("BAD  c: no answer; see what this prints:"), std::string::npos) << told();
}

}  // namespace
}  // namespace resnext
