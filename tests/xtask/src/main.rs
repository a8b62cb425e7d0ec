//! The project's tasks: `cargo xtask demo | test | bench | fuzz | device-lab | setup`.
//!
//! This crate is the first that a fresh machine builds, before anything is installed. It therefore
//! depends on little, and of the product's crates only on the API's wire types: it starts the
//! others.
//!
//! Each task first finds what the machine lacks and installs it ([`setup`]), then does its work.

mod bench;
mod cache;
mod debian;
mod demo;
mod device_lab;
mod fuzz;
mod lane;
mod language;
mod process;
mod setup;
mod test_count;
mod test_run;
mod tools;
mod web;
mod wheels;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::language::Language;
use crate::setup::Purpose;

const USAGE_ENGLISH: &str = "\
Usage: cargo xtask TASK

  demo [ARGUMENTS]         two rooms with simulated hardware in a call, shown in this terminal
  test [--lane NAME]       every check that must hold before a change lands; with --complete, one that
                           this machine cannot make counts as failed
  bench [AREA]             the numbers that the README claims, each beside its anchor
  fuzz [--smoke] [TARGET]  feed random input to the parsers
  device-lab               build the kernel that device drivers are tested on
  setup                    only install what the other tasks need

Downloads and tools are kept in $ROOMD_CACHE, or else in ~/.cache/roomd.";

const USAGE_CHINESE: &str = "\
用法：cargo xtask 任务

  demo [参数]              两间使用模拟硬件的会议室通话，显示在本终端
  test [--lane 名称]       合入改动之前必须通过的全部检查；加 --complete 时，本机无法进行的检查算作失败
  bench [领域]             README 中的每个数字，与参照物并列测量
  fuzz [--smoke] [目标]    向各解析器输入随机数据
  device-lab               编译用于测试设备驱动的内核
  setup                    只安装其他任务所需的软件

下载内容和工具保存在 $ROOMD_CACHE，未设置时为 ~/.cache/roomd。";

fn main() -> ExitCode {
    let language = Language::of_environment();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(language, &arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(language: Language, arguments: &[OsString]) -> Result<ExitCode> {
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.to_string_lossy().into_owned(), rest),
        None => (String::from("help"), arguments),
    };
    match task.as_str() {
        "demo" => demo::run(language, rest).map(|()| ExitCode::SUCCESS),
        "test" => test_run::run(language, rest),
        "bench" => bench::run(language, rest).map(|()| ExitCode::SUCCESS),
        "fuzz" => fuzz::run(language, rest).map(|()| ExitCode::SUCCESS),
        "device-lab" => device_lab::run(language).map(|()| ExitCode::SUCCESS),
        "setup" => {
            setup::prepare(
                language,
                &[
                    Purpose::Build,
                    Purpose::Run,
                    Purpose::Test,
                    Purpose::DeviceLab,
                ],
            )?;
            tools::nextest(language)?;
            tools::deny(language)?;
            Ok(ExitCode::SUCCESS)
        }
        "help" | "--help" | "-h" => {
            println!("{}", language.choose(USAGE_ENGLISH, USAGE_CHINESE));
            Ok(ExitCode::SUCCESS)
        }
        unknown => bail!(
            "{} `{unknown}`\n\n{}",
            language.choose("unknown task", "未知任务"),
            language.choose(USAGE_ENGLISH, USAGE_CHINESE)
        ),
    }
}
