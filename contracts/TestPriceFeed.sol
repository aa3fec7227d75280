// SPDX-License-Identifier: MIT
// Answers like a Chainlink price feed, with whatever it was told. For the development chain.
pragma solidity ^0.8.30;

contract TestPriceFeed {
    uint8 public constant decimals = 8;
    string public description;
    uint80 private round;
    int256 private answer;
    /// 0 means: always as fresh as the newest block.
    uint256 private answeredAt;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    constructor(string memory description_, int256 answer_) {
        description = description_;
        setAnswer(answer_);
    }

    /// A price that never gets old.
    function setAnswer(int256 answer_) public {
        setAnswerOf(answer_, 0);
    }

    /// A price of that time, which gets old.
    function setAnswerOf(int256 answer_, uint256 updatedAt) public {
        round++;
        answer = answer_;
        answeredAt = updatedAt;
        emit AnswerUpdated(answer_, round, updatedAt == 0 ? block.timestamp : updatedAt);
    }

    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer_, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        uint256 at = answeredAt == 0 ? block.timestamp : answeredAt;
        return (round, answer, at, at, round);
    }
}
